"""Which checkpoint a resume takes, and which ones stay on disk."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.test_checkpoint_files import flip_a_bit, snapshot
from workers.train.checkpoint_files import Snapshot, read_checkpoint, write_checkpoint
from workers.train.checkpointing import CheckpointWriter, explain_difference, find_checkpoint
from workers.train.reporter import Reporter

Write = Callable[..., tuple[list[str], list[str]]]


def write(folder: Path, *steps: int) -> list[str]:
    """Checkpoints of these steps, newest first, as the worker hands them over."""
    return [str(write_checkpoint(folder, snapshot(step=step)).path) for step in sorted(steps, reverse=True)]


def test_the_newest_one_is_taken_without_a_word(tmp_path: Path) -> None:
    found, note = find_checkpoint(write(tmp_path, 10, 20), spec_digest="spec")
    assert found is not None
    assert (found.position.step, note) == (20, "")


def test_a_damaged_one_is_passed_over_for_the_next_and_named(tmp_path: Path) -> None:
    candidates = write(tmp_path, 10, 20)
    flip_a_bit(Path(candidates[0]))
    found, note = find_checkpoint(candidates, spec_digest="spec")
    assert found is not None
    assert found.position.step == 10
    assert "step-0000000020" in note
    assert "SHA-256" in note


def test_one_of_another_spec_is_never_taken(tmp_path: Path) -> None:
    found, note = find_checkpoint(write(tmp_path, 10), spec_digest="another")
    assert found is None
    assert "belongs to another spec" in note
    assert "started again from step 0" in note


def test_without_any_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert find_checkpoint([], spec_digest="spec") == (None, "")
    found, note = find_checkpoint([str(tmp_path / "gone")], spec_digest="spec")
    assert found is None
    assert "gone" in note


@pytest.fixture
def written(tmp_path: Path, open_reporter: Callable[[Path], Reporter]) -> Write:
    """What lies in `checkpoints` after a writer took these, and the events that it wrote."""

    def write_all(snapshots: list[Snapshot], *, keep: int) -> tuple[list[str], list[str]]:
        folder, events = tmp_path / "checkpoints", tmp_path / "events.jsonl"
        folder.mkdir(exist_ok=True)
        writer = CheckpointWriter(folder, open_reporter(events), keep=keep)
        for one in snapshots:
            writer.put(one)
        writer.close()
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        lines = [line for line in lines if line["kind"] != "stage"]
        names = [f"{line['kind']} {line['step'] if 'step' in line else line['path'][-2:]}" for line in lines]
        return sorted(path.name for path in folder.iterdir()), names

    return write_all


def test_the_newest_ones_and_the_best_one_stay(written: Write) -> None:
    snapshots = [replace(snapshot(step=step), best=step == 2) for step in (1, 2, 3, 4)]
    left, events = written(snapshots, keep=1)
    assert left == ["step-0000000002", "step-0000000004"]
    assert [event for event in events if "removed" in event] == [
        "checkpoint_removed 01",
        "checkpoint_removed 03",
    ]


def test_those_of_earlier_attempts_go_when_there_are_enough_new_ones_and_the_best_stays(
    tmp_path: Path, open_reporter: Callable[[Path], Reporter]
) -> None:
    earlier = [
        write_checkpoint(tmp_path / "1", replace(snapshot(step=step), best=step == 2)).path
        for step in (3, 2, 1)
    ]
    events = tmp_path / "events.jsonl"
    writer = CheckpointWriter(tmp_path / "2", open_reporter(events), keep=2, earlier=earlier)
    writer.put(snapshot(step=4))
    writer.put(snapshot(step=5))
    writer.close()
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["step-0000000002"]
    removed = [json.loads(line) for line in events.read_text().splitlines() if "removed" in line]
    assert [event["path"] for event in removed] == [str(earlier[0]), str(earlier[2])]


def test_an_earlier_best_goes_when_there_is_a_better_one(
    tmp_path: Path, open_reporter: Callable[[Path], Reporter]
) -> None:
    earlier = [write_checkpoint(tmp_path / "1", replace(snapshot(step=2), best=True)).path]
    writer = CheckpointWriter(
        tmp_path / "2", open_reporter(tmp_path / "events.jsonl"), keep=1, earlier=earlier
    )
    writer.put(replace(snapshot(step=5), best=True))
    writer.close()
    assert not earlier[0].exists()


def test_one_that_cannot_be_written_costs_a_checkpoint_and_not_the_training(
    tmp_path: Path, written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "step-0000000002").write_text("a file where the folder of the second one has to be")
    left, events = written([snapshot(step=step) for step in (1, 2, 3)], keep=5)
    assert [event for event in events if event.startswith("checkpoint ")] == ["checkpoint 1", "checkpoint 3"]
    assert left == ["step-0000000001", "step-0000000002", "step-0000000003"]
    assert read_checkpoint(folder / "step-0000000003").position.step == 3
    assert "checkpoint of step 2 could not be written" in capsys.readouterr().err


def test_what_differs_between_two_environments_is_named() -> None:
    assert explain_difference({"threads": 2, "keras": "3"}, {"threads": 2, "keras": "3"}) == ""
    assert explain_difference({"threads": 2}, {"threads": 4}) == "threads 2 → 4"
