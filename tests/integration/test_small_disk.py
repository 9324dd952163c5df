"""An event log on a disk that is full for a while."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.domain.states import Outcome
from service.domain.trainer_events import Ended
from workers.train.process.reporter import Reporter


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_what_a_full_disk_does_not_take_is_written_when_there_is_room(
    small_disk: Path, open_reporter: Callable[[Path], Reporter]
) -> None:
    reporter = open_reporter(small_disk / "events.jsonl")
    (small_disk / "other").write_bytes(b"x" * 104 * 1024)
    for step in range(600):
        reporter.points(step, {"batch_loss": 0.5, "batch_accuracy": 0.25})
    assert (small_disk / "events.jsonl").stat().st_size < 30 * 1024
    (small_disk / "other").unlink()
    reporter.ended(Ended(outcome=Outcome.SUCCEEDED, reason=""))
    events = [json.loads(line) for line in (small_disk / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events[:-1]] == list(range(600))
    assert events[-1]["kind"] == "ended"
