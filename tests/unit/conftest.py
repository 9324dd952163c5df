"""What ends with a test: event logs, which a trainer's process would close, and processes of nobody's."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.train.process.reporter import Reporter


@pytest.fixture
def open_reporter() -> Iterator[Callable[[Path], Reporter]]:
    opened: list[Reporter] = []

    def open_one(path: Path) -> Reporter:
        opened.append(Reporter(path))
        return opened[-1]

    yield open_one
    for reporter in opened:
        reporter.close()


# Starts a program with an open file and ends; the program waits for the end of its input.
ORPHANING = """
import subprocess, sys
held = open(sys.argv[1])
words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
outputs = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
options = {"stdin": 0, "start_new_session": True, "pass_fds": [held.fileno()], **outputs}
print(subprocess.Popen(words, **options).pid)
"""


@pytest.fixture
def start_stranger() -> Iterator[Callable[..., int]]:
    """Start a process that nothing relates to this one, with a file open."""
    reading, writing = os.pipe()

    def start(path: Path = Path(os.devnull)) -> int:
        made = subprocess.run(
            [sys.executable, "-c", ORPHANING, str(path)],
            stdin=reading,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(made.stdout)

    yield start
    os.close(reading)
    os.close(writing)  # their input ends, and so do they
