"""Worker and scheduler that are told to stop while what they wait for does not come."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.domain.jobs import Attempt
from service.process import find_start
from service.store.jobs import attempts
from service.store.transaction import Store
from tests.conftest import HOST
from tests.stack import ROOT, Stack
from workers.process_tree import MARK

IN_A_SECOND = "from workers import host_agent, __main__; host_agent.STOP_SECONDS = 1; "
WORKER = f"{IN_A_SECOND}raise SystemExit(__main__.main(stop_with_stdin=False))"


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that ends when it is asked to, as a trainer does, and bears the mark of attempt 1."""
    environment = {**os.environ, MARK: str(tmp_path / "runs" / "1" / "1")}
    with subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Start a worker of `gpu01` in `tmp_path`."""
    (tmp_path / "broker" / "messages").mkdir(parents=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    settings = {
        "CNNCTL_HOME": str(tmp_path),
        "CNNCTL_HOST": HOST,
        "CNNCTL_GPUS": "sim:2",
        "CNNCTL_GRACE_SECONDS": "1",
        "CNNCTL_START_METHOD": "spawn",  # it starts no trainer here
    }
    environment = {**inherited, **settings, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", WORKER]
    with ExitStack() as stack:

        def start() -> "subprocess.Popen[str]":
            process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_sigterm_ends_a_worker_that_cannot_store_how_its_trainer_ended(
    store: Store,
    claimed: Callable[..., Attempt],
    trainer: "subprocess.Popen[bytes]",
    start_worker: Callable[[], "subprocess.Popen[str]"],
    tmp_path: Path,
) -> None:
    attempt = claimed(runs_dir=str(tmp_path / "runs"))
    Path(attempt.run_dir).mkdir(parents=True)
    with store.transaction() as tx:
        attempts.write(tx, attempt, trainer_pid=trainer.pid, trainer_started=find_start(trainer.pid))
    worker = start_worker()
    assert worker.stderr
    said = ""
    while "action=registered" not in said:  # Celery listens to SIGTERM by then
        line = worker.stderr.readline()
        assert line, said
        said += line
    assert "action=adopted" in said
    (tmp_path / "cnnctl.db").rename(tmp_path / "gone")
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 1
    assert time.monotonic() - started < 10
    assert trainer.wait(timeout=30) == -signal.SIGTERM
    assert f"action=stopped_late attempts_left=[{attempt.id}]" in worker.stderr.read()


def test_sigterm_ends_a_scheduler_that_waits_for_its_database(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        stack = Stack(tmp_path, CNNCTL_DATABASE_URL=url, CNNCTL_BROKER_URL="redis://127.0.0.1:1")
        stack.start("scheduler")
        silent.accept()[0].close()
        started = time.monotonic()
        stack.stop("scheduler")
        assert time.monotonic() - started < 10  # it would wait for half a minute
