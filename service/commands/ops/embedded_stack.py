"""Runs scheduler and worker as children, on SQLite and message files: the whole service in one command."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from service.commands.fleet.health import check_health
from service.commands.ops.child_log import ChildLog
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
        self._logs = {name: ChildLog(settings.logs_dir / f"{name}.log") for name in PROGRAMS}
        self._children = {name: self._start(name, words) for name, words in PROGRAMS.items()}

    def look_after(self) -> None:
        """See that all is well, again and again while the stack is up.

        Raises:
            CnnctlError: a child has ended by itself; the message is what it said.
        """
        for log in self._logs.values():
            log.rotate_if_large()
        for name, child in self._children.items():
            if child.poll() is not None:
                raise CnnctlError(self.explain_end(name))

    def explain_end(self, name: str) -> str:
        """What a child has said since it was started, and where the rest is."""
        log, code = self._logs[name], self._children[name].poll()
        ended = "is not ready" if code is None else f"has stopped (exit status {code})"
        return "\n".join([f"The {name} {ended}. What it said last, from {log.path}:", *log.read_tail()])

    def stop(self) -> None:
        """Stop the children one after the other; trainers checkpoint, their jobs go back to the queue."""
        for child in self._children.values():
            child.terminate()
            try:
                child.wait(timeout=self._settings.grace_seconds + 10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            assert child.stdin
            child.stdin.close()

    def _start(self, name: str, words: list[str]) -> "subprocess.Popen[bytes]":
        with self._logs[name].open() as log:
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
        stack.look_after()
        if time.monotonic() > deadline:
            raise CnnctlError(stack.explain_end("worker"))
        on_wait()
        time.sleep(POLL_SECONDS)
