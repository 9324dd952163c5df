"""Which checkpoint a resume takes, and what one that cannot be written costs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.disk_reserve import NoSpace, check_free_space
from service.domain.run_folder import CHECKPOINTS_DIR
from tests.servers import wait_until
from tests.unit.test_checkpoint_files import flip_a_bit, snapshot
from workers.train.checkpoints.files import read_checkpoint, write_checkpoint
from workers.train.checkpoints.writer import CheckpointWriter, explain_difference, find_checkpoint
from workers.train.process.reporter import Reporter


def write(folder: Path, *steps: int) -> list[str]:
    """Checkpoints of these steps, newest first, as the worker hands them over."""
    made = folder / "1" / CHECKPOINTS_DIR
    made.parent.mkdir(parents=True, exist_ok=True)
    return [str(write_checkpoint(made, snapshot(step=step)).path) for step in sorted(steps, reverse=True)]


def test_the_newest_one_is_taken_without_a_word(tmp_path: Path) -> None:
    found, note = find_checkpoint(write(tmp_path, 10, 20), spec_digest="spec", of_job=tmp_path)
    assert found is not None
    assert (found.position.step, note) == (20, "")


def test_a_damaged_one_is_passed_over_for_the_next_and_named(tmp_path: Path) -> None:
    candidates = write(tmp_path, 10, 20)
    flip_a_bit(Path(candidates[0]))
    found, note = find_checkpoint(candidates, spec_digest="spec", of_job=tmp_path)
    assert found is not None
    assert found.position.step == 10
    assert "step-0000000020" in note
    assert "SHA-256" in note


def test_one_of_another_spec_is_never_taken(tmp_path: Path) -> None:
    found, note = find_checkpoint(write(tmp_path, 10), spec_digest="another", of_job=tmp_path)
    assert found is None
    assert "belongs to another spec" in note


def test_one_outside_of_the_jobs_folder_is_not_opened(tmp_path: Path) -> None:
    (foreign,) = write(tmp_path / "8", 30)
    (own,) = write(tmp_path / "7", 10)
    link = Path(own).with_name("step-0000000020")
    link.symlink_to(foreign)
    found, note = find_checkpoint([foreign, str(link), own], spec_digest="spec", of_job=tmp_path / "7")
    assert found is not None
    assert found.position.step == 10
    assert note == "; ".join(f"{path} does not lie in {tmp_path / '7'}" for path in (foreign, link))


def test_without_any_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert find_checkpoint([], spec_digest="spec", of_job=tmp_path) == (None, "")
    found, note = find_checkpoint(
        [str(tmp_path / "1" / CHECKPOINTS_DIR / "step-7")], spec_digest="spec", of_job=tmp_path
    )
    assert found is None
    assert "step-7 cannot be read" in note


def test_one_that_cannot_be_written_costs_a_checkpoint_and_not_the_training(
    tmp_path: Path, open_reporter: Callable[[Path], Reporter], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, events = tmp_path / "checkpoints", tmp_path / "events.jsonl"
    folder.mkdir()
    (folder / "step-0000000002").write_text("a file where the folder of the second one has to be")
    writer = CheckpointWriter(folder, open_reporter(events))
    for step in (1, 2, 3):
        writer.put(snapshot(step=step))
    writer.close()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "checkpoint"] == [1, 3]
    stage, over = (line["text"] for line in lines if line["kind"] == "stage")
    assert over == ""
    assert "checkpoint of step 2 could not be written" in stage
    assert stage.endswith("training continues, and the previous checkpoint is kept")
    assert read_checkpoint(folder / "step-0000000003").position.step == 3
    assert "checkpoint of step 2 could not be written" in capsys.readouterr().err


@pytest.mark.parametrize("handed_over", [[(3, False)], [(3, True)], []], ids=["newer", "better", "none"])
def test_the_best_one_that_could_not_be_written_is_written_before_any_newer_one(
    tmp_path: Path, open_reporter: Callable[[Path], Reporter], handed_over: list[tuple[int, bool]]
) -> None:
    folder, events = tmp_path / "checkpoints", tmp_path / "events.jsonl"
    folder.write_text("a file where the folder has to be")
    writer = CheckpointWriter(folder, open_reporter(events))
    writer.put(best := replace(snapshot(step=1), best=True), snapshot(step=2))
    wait_until(lambda: "could not be written" in events.read_text())
    folder.unlink()
    for step, is_best in handed_over:
        writer.put(replace(snapshot(step=step), best=is_best))
    writer.close()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    written = [(line["step"], line["best"]) for line in lines if line["kind"] == "checkpoint"]
    before = [] if not handed_over or handed_over[0][1] else [(1, True)]
    assert written == [*before, *handed_over]
    assert writer.unwritten_best is (None if handed_over else best)


def test_below_the_reserve_only_what_must_be_is_written_and_that_is_said_once(
    tmp_path: Path, open_reporter: Callable[[Path], Reporter]
) -> None:
    folder, events = tmp_path / "checkpoints", tmp_path / "events.jsonl"
    writer = CheckpointWriter(folder, open_reporter(events), reserve_percent=100)
    for step in (1, 2):
        writer.put(snapshot(step=step))
    writer.put(snapshot(step=3), must=True)
    writer.close()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "checkpoint"] == [3]
    said, over = (line["text"] for line in lines if line["kind"] == "stage")
    assert said == (
        f"checkpoint of step 1 could not be written: less than 100 % of the disk of {folder} would stay free "
        "(CNNCTL_DISK_RESERVE); training continues, and the previous checkpoint is kept"
    )
    assert over == ""


def test_room_is_what_would_be_left_beyond_the_reserve(tmp_path: Path) -> None:
    folder = tmp_path / "still" / "to be made"
    check_free_space(folder, reserve_percent=1e-9)
    check_free_space(folder, reserve_percent=0, wanted_bytes=2**60)
    with pytest.raises(NoSpace):
        check_free_space(folder, reserve_percent=1e-9, wanted_bytes=2**60)


def test_what_differs_between_two_environments_is_named() -> None:
    assert explain_difference({"threads": 2, "keras": "3"}, {"threads": 2, "keras": "3"}) == ""
    assert explain_difference({"threads": 2}, {"threads": 4}) == "threads 2 → 4"
