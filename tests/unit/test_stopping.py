"""A trainer whose worker is gone stops, in one way or the other, before its job may start elsewhere."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A step that takes for ever: it says that it should stop, and does not.
DEAF = """
import os, sys, time
from pathlib import Path
from workers.train.stopping import StopRequest
os.setsid()
stop = StopRequest()
stop.watch_lease(Path(sys.argv[1]), lease_seconds=2.0)
print("ready", flush=True)
while not stop.reason:
    time.sleep(0.01)
print(stop.reason, flush=True)
time.sleep(600)
"""


def test_one_that_does_not_stop_when_its_worker_is_gone_kills_itself_within_the_lease(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    lease.touch()
    process = subprocess.Popen([sys.executable, "-c", DEAF, str(lease)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(6):  # as long as its worker is there, it goes on
        lease.touch()
        time.sleep(0.5)
    assert process.poll() is None
    last = time.monotonic()
    assert "its worker has been gone" in process.stdout.readline()
    assert process.wait(timeout=10) == -9
    assert time.monotonic() - last < 2.5
    process.stdout.close()


# What holds up all of Python, as TensorFlow does while hosts meet: a call into C that keeps the GIL.
HELD_UP = """
import ctypes, os, sys
from pathlib import Path
from workers.train.stopping import StopRequest
os.setsid()
stop = StopRequest()
stop.watch_lease(Path(sys.argv[1]), lease_seconds=2.0)
with stop.watched_from_outside():
    print("ready", flush=True)
    ctypes.PyDLL(None).sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_held_up_outside_of_python_ends_within_the_lease_or_when_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    lease = tmp_path / "lease"
    lease.touch()
    process = subprocess.Popen([sys.executable, "-c", HELD_UP, str(lease)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if number is signal.SIGTERM:
        process.send_signal(number)
    assert process.wait(timeout=10) == -number
    assert process.stdout.read() == ""  # its watcher has ended, too
    process.stdout.close()
