"""The event log: whole lines of plain JSON, whoever writes at the same time."""

import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.domain.states import Outcome
from service.domain.trainer_events import Ended, EpochCompleted, Stage
from workers.train.process.reporter import Reporter

Open = Callable[[Path], Reporter]


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]


def test_a_value_that_is_not_finite_becomes_null(tmp_path: Path, open_reporter: Open) -> None:
    path = tmp_path / "events.jsonl"
    open_reporter(path).points(3, {"loss": math.nan, "lr": -math.inf, "accuracy": 0.5})
    (event,) = read(path)
    assert event["kind"] == "points"
    assert event["step"] == 3
    assert event["values"] == {"loss": None, "lr": None, "accuracy": 0.5}


def test_lines_of_several_threads_stay_whole(tmp_path: Path, open_reporter: Open) -> None:
    path = tmp_path / "events.jsonl"
    reporter = open_reporter(path)

    def report(step: int) -> None:
        reporter.points(step, {f"metric_{number}": float(step) for number in range(200)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(200)))
    assert sorted(int(str(event["step"])) for event in read(path)) == list(range(200))


def test_a_second_reporter_continues_the_log_of_the_first(tmp_path: Path, open_reporter: Open) -> None:
    path = tmp_path / "events.jsonl"
    open_reporter(path).report(EpochCompleted(epoch=1))
    open_reporter(path).ended(Ended(outcome=Outcome.FAILED, reason="a reason\nof two lines"))
    assert [(e["kind"], e.get("reason")) for e in read(path)] == [
        ("epoch", None),
        ("ended", "a reason\nof two lines"),
    ]


def test_while_the_disk_is_full_what_waits_in_memory_has_a_bound_and_what_counts_is_kept(
    tmp_path: Path, open_reporter: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.train.process.reporter.MOST_UNWRITTEN", 1000)
    path = tmp_path / "events.jsonl"
    path.symlink_to("/dev/full")
    reporter = open_reporter(path)
    for step in range(100):
        reporter.points(step, {"loss": 0.5})
    reporter.report(EpochCompleted(epoch=1))
    path.unlink()
    with path.open("wb") as file:
        os.dup2(file.fileno(), reporter._file)  # there is room again
    reporter.points(100, {"loss": 0.5})
    events = read(path)
    assert 5 < len(events) < 20
    assert [event["kind"] for event in events[-2:]] == ["points", "epoch"]  # the last point found no room


def test_a_disk_that_stays_full_is_an_error_at_the_end(
    open_reporter: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.train.process.reporter.FINAL_EVENT_SECONDS", 0.1)
    reporter = open_reporter(Path("/dev/full"))
    reporter.points(1, {"loss": 0.5})
    with pytest.raises(OSError, match="disk is full"):
        reporter.ended(Ended(outcome=Outcome.SUCCEEDED, reason=""))


def test_a_name_that_is_no_text_is_written_out(tmp_path: Path, open_reporter: Open) -> None:
    path = tmp_path / "events.jsonl"
    open_reporter(path).report(Stage(text=os.fsdecode(b"caf\xe9.png")))
    assert read(path)[0]["text"] == "caf\\xe9.png"
