"""A trainer whose worker is gone stops, in one way or the other, before its job may start elsewhere."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

# A step that takes for ever: it says that it should stop, and does not.
DEAF = """
import os, sys, time
from pathlib import Path
from workers.train.process.stopping import StopFlag
os.setsid()
stop = StopFlag()
stop.watch_lease(Path(sys.argv[1]), lease_seconds=2.0)
print("ready", flush=True)
while not stop.reason:
    time.sleep(0.01)
print(stop.reason, flush=True)
time.sleep(600)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def lease(tmp_path: Path) -> Path:
    path = tmp_path / "lease"
    path.touch()
    return path


@pytest.fixture
def start(lease: Path) -> Iterator[Start]:
    """Starts a trainer and waits until it is ready; whatever is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start_trainer(source: str, *, log: str = os.devnull) -> subprocess.Popen[str]:
        with Path(log).open("w") as stderr:
            command = [sys.executable, "-c", source, str(lease)]
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True))
        assert _line(started[-1]) == "ready\n"
        return started[-1]

    yield start_trainer
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with process:
            pass


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def _run(source: str, *words: str) -> str:
    command = [sys.executable, "-c", source, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_one_that_does_not_stop_when_its_worker_is_gone_kills_itself_within_the_lease(
    lease: Path, start: Start
) -> None:
    process = start(DEAF)
    for _ in range(6):  # as long as its worker is there, it goes on
        lease.touch()
        time.sleep(0.5)
    assert process.poll() is None
    last = time.monotonic()
    assert "its worker has been gone" in _line(process)
    assert process.wait(timeout=10) == -9
    assert time.monotonic() - last < 2.5


# What holds up all of Python, as TensorFlow does while hosts meet: a call into C that keeps the GIL.
HELD_UP = """
import ctypes, os, sys
from pathlib import Path
from workers.train.process.stopping import StopFlag
os.setsid()
stop = StopFlag()
stop.watch_lease(Path(sys.argv[1]), lease_seconds=2.0)
with stop.watched_from_outside():
    print("ready", flush=True)
    ctypes.PyDLL(None).sleep(600)
"""


# Its worker fell silent some time before it is held up.
HELD_UP_LATER = """
import ctypes, os, sys, time
from pathlib import Path
from workers.train.process.stopping import StopFlag
os.setsid()
stop = StopFlag()
stop.watch_lease(Path(sys.argv[1]), lease_seconds=3.0)
print("ready", flush=True)
time.sleep(1.5)
with stop.watched_from_outside():
    ctypes.PyDLL(None).sleep(600)
"""

# A lease file whose times are played; at "held", all of Python is held up for longer than the lease.
HELD_UP_WHILE_IT_READS = """
import ctypes, os, sys, threading
from pathlib import PosixPath
from types import SimpleNamespace
from workers.train.process.stopping import StopFlag
os.setsid()
times, done = iter(sys.argv[1].split()), threading.Event()
class Played(PosixPath):
    def stat(self, **words):
        time = next(times, "")
        if time == "held":
            ctypes.PyDLL(None).usleep(2_100_000)
            time = next(times)
        if not time:
            done.set()
            threading.Event().wait()
        return SimpleNamespace(st_mtime_ns=int(time))
stop = StopFlag()
stop.watch_lease(Played(), lease_seconds=2.0)
done.wait()
print("goes on", stop.reason, flush=True)
"""

# Its watcher fails, here for a path that no file can have.
WITH_A_BROKEN_WATCHER = """
import os
from pathlib import Path
from workers.train.process.stopping import StopFlag
stop = StopFlag()
stop.watch_lease(Path("\\0"), lease_seconds=2.0)
try:
    with stop.watched_from_outside():
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
finally:
    print("goes on", flush=True)
"""


# Told to stop just before, when it only took note; its worker does not tell it twice.
TOLD_BEFORE = """
import os, signal
from workers.train.process.stopping import Stopped, StopFlag
stop = StopFlag()
stop.listen()
os.kill(os.getpid(), signal.SIGTERM)
try:
    with stop.watched_from_outside():
        print("waits for the other hosts", flush=True)
except Stopped as stopped:
    os.kill(os.getpid(), signal.SIGTERM)  # it takes note again: its final event is not cut off
    print(stopped, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_held_up_outside_of_python_ends_within_the_lease_or_when_told(
    start: Start, number: signal.Signals
) -> None:
    process = start(HELD_UP)
    if number is signal.SIGTERM:
        process.send_signal(number)
    assert process.wait(timeout=10) == -number
    assert _line(process) == ""  # its watcher has ended, too


@pytest.mark.parametrize("source", [DEAF, HELD_UP])
def test_one_whose_log_cannot_be_written_kills_itself_all_the_same(start: Start, source: str) -> None:
    assert start(source, log="/dev/full").wait(timeout=10) == -9


def test_a_watcher_that_fails_does_not_become_a_second_trainer() -> None:
    assert _run(WITH_A_BROKEN_WATCHER) == "goes on\n"


def test_one_that_was_told_to_stop_before_it_is_held_up_does_not_begin_to_wait() -> None:
    assert _run(TOLD_BEFORE) == "received SIGTERM\n"


def test_silence_before_it_is_held_up_counts(start: Start) -> None:
    process, last = start(HELD_UP_LATER), time.monotonic()
    assert process.wait(timeout=10) == -9
    assert time.monotonic() - last < 3.5


@pytest.mark.parametrize("times", ["1 1 held 1 2 2", "1 1 held 2 2 2"], ids=["just after", "just before"])
def test_one_that_is_held_up_while_it_reads_the_lease_goes_on_with_its_worker(times: str) -> None:
    assert _run(HELD_UP_WHILE_IT_READS, times) == "goes on \n"
