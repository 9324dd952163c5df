"""Jobs that come before a part of the service is there."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers import wait_until
from tests.stack import Stack, is_alive

SHORT = ("lenet5", "--dataset", "digits", "--epochs", "1")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """One whose parts are not up yet."""
    with closing(Stack(tmp_path / "home")) as stack:
        yield stack


def test_a_job_waits_for_the_first_worker_and_can_be_cancelled_while_it_starts(stack: Stack) -> None:
    submitted = stack.cnnctl("submit", *SHORT)
    assert "No scheduler is running" in submitted.stderr
    assert "No worker is running" in submitted.stderr
    early = int(submitted.stdout)
    stack.start("scheduler")
    stack.wait(early, lambda job: "no worker is running" in job["reason"])
    stack.start("worker", CNNCTL_START_METHOD="spawn")  # starting takes seconds: time to cancel in it
    job = stack.wait(early, lambda job: job["attempts"] and job["attempts"][0]["trainer_pid"])
    assert job["attempts"][0]["state"] == "starting"
    stack.cnnctl("cancel", str(early))
    job = stack.finished(early, "cancelled")
    assert not is_alive(job["attempts"][0]["trainer_pid"])
    assert stack.finished(stack.submit(*SHORT))["state"] == "succeeded"


def test_a_first_command_finishes_the_database_that_another_has_only_begun(stack: Stack) -> None:
    (stack.home / "cnnctl.db").touch()
    assert "No jobs yet" in stack.cnnctl("status").stdout


def test_up_serves_until_ctrl_c_and_leaves_nothing_behind(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with log.open("w") as said:
        up = subprocess.Popen(
            [sys.executable, "-m", "service.cli.main", "up"], env=stack.environment, stderr=said, cwd=tmp_path
        )
    deadline = time.monotonic() + 60
    while "cnnctl is up" not in log.read_text():
        assert up.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert "already serves" in stack.cnnctl("up", code=4).stderr
    number = stack.submit("lenet5", "--dataset", "synthetic", "--epochs", "400", "--gpus", "2")
    job = stack.wait(number, lambda job: job["checkpoints"])
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=60) == 0
    job = stack.job(number)
    assert (job["state"], job["attempts"][0]["outcome"]) == ("queued", "interrupted")
    assert not is_alive(job["attempts"][0]["trainer_pid"])
    wait_until(lambda: not _processes_that_name(stack.home), seconds=5)


def test_ctrl_c_in_run_cancels_the_job_and_stops_the_stack_that_run_started(
    stack: Stack, tmp_path: Path
) -> None:
    words = ("run", "lenet5", "--dataset", "synthetic", "--epochs", "400")
    run = subprocess.Popen(
        [sys.executable, "-m", "service.cli.main", *words],
        env=stack.environment,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 60
    while not stack.cnnctl_here("status", "--json").stdout.strip().startswith("[\n"):
        assert run.poll() is None, stack.logs()
        assert time.monotonic() < deadline, stack.logs()
    stack.wait(1, lambda job: job["checkpoints"])
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 1
    assert stack.job(1)["state"] == "cancelled"
    wait_until(lambda: not _processes_that_name(stack.home), seconds=5)


def _processes_that_name(folder: Path) -> list[str]:
    """Commands whose environment names a data folder, other than this one's own."""
    marker = f"CNNCTL_HOME={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and marker in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
