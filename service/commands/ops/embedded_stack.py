"""Runs scheduler and worker as children, on SQLite and message files: the whole service in one command."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.commands.fleet.health import check_health
from service.errors import AlreadyRunning, CnnctlError
from service.private_files import tighten
from service.settings import Settings
from service.store.transaction import Store

START_SECONDS = 120.0
POLL_SECONDS = 0.1

# In the order in which they are stopped: the worker needs a moment to checkpoint its trainers.
PROGRAMS = {
    "worker": ["-m", "workers", "--stop-with-stdin"],
    "scheduler": ["-m", "service.cli.main", "scheduler", "--stop-with-stdin"],
}


class EmbeddedStack:
    """The running children; `stop` ends them in order and waits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        settings.logs_dir.mkdir(parents=True, exist_ok=True)
        self._children = {name: self._start(name, words) for name, words in PROGRAMS.items()}

    def find_dead(self) -> str | None:
        """The name of a child that has ended by itself, or None."""
        return next((name for name, child in self._children.items() if child.poll() is not None), None)

    def log_path(self, name: str) -> Path:
        return self._settings.logs_dir / f"{name}.log"

    def stop(self) -> None:
        """Stop the children one after the other; trainers checkpoint, their jobs go back to the queue."""
        for child in self._children.values():
            child.terminate()
            try:
                child.wait(timeout=self._settings.grace_seconds + 10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _start(self, name: str, words: list[str]) -> "subprocess.Popen[bytes]":
        with self.log_path(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.PIPE,  # never written to: its end tells the child that we are gone
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us alone: we stop them in order
            )


@contextmanager
def running_stack(
    store: Store, settings: Settings, *, on_wait: Callable[[], object] = lambda: None
) -> Iterator[EmbeddedStack]:
    """Start the stack, wait until it is ready, and stop it at the end of the block.

    Raises:
        AlreadyRunning: another one serves the same data folder.
        CnnctlError: a child ended while starting; the message names its log.
    """
    settings.home_dir.mkdir(parents=True, exist_ok=True)
    with (settings.home_dir / "up.lock").open("a") as lock:
        _take(lock, settings)
        tighten(settings)
        store.upgrade()
        stack = EmbeddedStack(settings)
        try:
            _wait_until_ready(store, settings, stack, on_wait)
            yield stack
        finally:
            stack.stop()


def _take(lock: IO[str], settings: Settings) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(
            f"An embedded stack already serves {settings.home_dir}. Use it, stop it where it runs, "
            "or set CNNCTL_HOME to another folder"
        ) from None


def _wait_until_ready(
    store: Store, settings: Settings, stack: EmbeddedStack, on_wait: Callable[[], object]
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not check_health(store, settings).up:
        dead = stack.find_dead()
        if dead or time.monotonic() > deadline:
            raise CnnctlError(explain_dead(stack, dead or "worker"))
        on_wait()
        time.sleep(POLL_SECONDS)


def explain_dead(stack: EmbeddedStack, name: str) -> str:
    """What to say of a child that has ended: the end of its log, and where the rest is."""
    path = stack.log_path(name)
    tail = path.read_text(errors="replace").strip().splitlines()[-5:]
    return "\n".join([f"The {name} has stopped. Its last lines, from {path}:", *tail])
