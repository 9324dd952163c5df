"""The lines of an event log: written and read by the same code, and by older and newer code."""

import json

import pytest

from service.domain.jobs import Progress
from service.domain.states import Outcome
from service.domain.trainer_events import (
    KINDS,
    CheckpointWritten,
    Ended,
    EpochCompleted,
    Event,
    Points,
    Stage,
    Started,
    decode,
    encode,
)

EVENTS: list[Event] = [
    Stage(text="reads images"),
    Started(step=7, exact=False, note="passed over step-9"),
    Points(step=7, values={"loss": 0.5, "accuracy": None}),
    EpochCompleted(epoch=2),
    Progress(epoch=1, epochs=3, step=7, steps_per_epoch=9, images_per_second=8.5, loss=None, accuracy=0.5),
    CheckpointWritten(step=7, epoch=1, best=True, bytes=12, digest="ab", path="/runs/1/1/checkpoints/step-7"),
    Ended(outcome=Outcome.FAILED, reason="NaN", cause="nan_loss"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    assert decode(encode(event, at=1.5)) == event


def test_every_kind_is_tried() -> None:
    assert {type(event) for event in EVENTS} == set(KINDS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_fields_that_only_a_newer_trainer_knows_are_left_out(event: Event) -> None:
    line = json.loads(encode(event, at=1.5)) | {"colour": "red"}
    assert decode(json.dumps(line)) == event


def test_what_there_is_none_of_is_left_out() -> None:
    line = json.loads(encode(Ended(outcome=Outcome.SUCCEEDED, reason=""), at=1.5))
    assert line == {"kind": "ended", "at": 1.5, "outcome": "succeeded", "reason": "", "pause": False}


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "started", "at": 1',
        b'{"kind": "applause", "at": 1}',
        b'{"kind": ["started"], "at": 1}',
        b'{"kind": "epoch", "at": 1}',
        b'{"kind": "epoch", "at": 1, "epoch": -1}',
        b'{"kind": "epoch", "at": 1, "epoch": 9223372036854775808}',
        b'{"kind": "ended", "at": 1, "outcome": "splendid", "reason": ""}',
        b'{"kind": "epoch", "at": 1, "epoch": 2147483648}',
        b'{"kind": "epoch", "at": 1, "epoch": true}',
        b'{"kind": "epoch", "at": 1, "epoch": "5"}',
        b'{"kind": "epoch", "at": 1, "epoch": 1.5}',
        b'{"kind": "points", "at": 1, "step": 1, "values": {"loss": NaN}}',
        b'{"kind": "points", "at": 1, "step": 1, "values": {"loss": 1e999}}',
        b'{"kind": "ended", "at": 1, "outcome": "interrupted", "reason": "", "pause": "no"}',
        b'["kind"]',
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b"",
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_nobody_can_mean_is_no_event(line: bytes) -> None:
    assert decode(line) is None


def test_a_name_with_bytes_that_are_no_text_is_written_out() -> None:
    assert decode(encode(Stage(text="caf\udce9.png"), at=1.5)) == Stage(text="caf\\xe9.png")
