"""What the embedded stack keeps and shows of what its children say."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.commands.ops import child_log
from service.commands.ops.child_log import ChildLog
from tests.stack import Stack

LOGGING = """
import structlog
from service.log import configure_log
configure_log("info")
structlog.get_logger().info("worker", action="registered")
print("goes on")
"""


def test_a_process_goes_on_when_its_log_takes_no_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", LOGGING], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"goes on\n")


def test_only_what_was_said_since_the_start_is_shown(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "logs" / "worker.log")
    with log.open() as file:
        file.write(b"an error of yesterday\n")
    with log.open() as file:
        assert log.read_tail() == []
        file.write(b"one\ntwo\n")
    assert log.read_tail() == ["one", "two"]
    log.path.unlink()
    assert log.read_tail() == ()


def test_a_log_that_has_grown_large_is_rotated_under_the_child_that_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_log, "MOST_BYTES", 100)
    log = ChildLog(tmp_path / "worker.log")
    with log.open() as file:
        for number in range(30):
            os.write(file.fileno(), b"line %d\n" % number)
            log.rotate_if_large()
    before = (tmp_path / "worker.log.1").read_text().splitlines()
    now = log.path.read_text().splitlines()
    assert before + now == [f"line {number}" for number in range(30 - len(before + now), 30)]
    assert 0 < len(now) < 15
    assert log.read_tail() == now


def test_a_log_for_whose_copy_there_is_no_room_stays_and_so_does_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_log, "MOST_BYTES", 100)
    log = ChildLog(tmp_path / "worker.log")
    (tmp_path / "worker.log.1").write_text("what came before")
    log.path.write_bytes(b"x" * 200)
    (tmp_path / "worker.log.tmp").symlink_to("/dev/full")
    log.rotate_if_large()
    assert {path.name for path in tmp_path.iterdir()} == {"worker.log", "worker.log.1"}
    assert (tmp_path / "worker.log.1").read_text() == "what came before"
    log.rotate_if_large()  # within the pause, though there is room
    assert log.path.stat().st_size == 200


def test_up_shows_why_a_child_ended_and_nothing_of_earlier_starts(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    (stack.home / "logs").mkdir()
    (stack.home / "logs" / "worker.log").write_text("Error: something of yesterday\n")
    with (stack.home / "worker-testhost.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = stack.cnnctl("up", code=1).stderr
    assert "The worker has stopped (exit status 4)" in said
    assert "A worker of host testhost is already running" in said
    assert "yesterday" not in said
