"""Tells a trainer to stop: on SIGTERM from its worker, or when its worker is gone."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

STOP_AFTER, KILL_AFTER = 2 / 3, 9 / 10  # of the lease


class Stopped(Exception):
    """A trainer was told to stop before its first step; nothing was trained, so nothing is lost."""


class StopFlag:
    """Why the trainer should stop at the next step; empty while it should continue."""

    def __init__(self) -> None:
        self.reason = ""
        self._lease: tuple[Path, float] = (Path(), math.inf)
        # When the lease file was modified, and when that was first seen; a forked watcher continues from it.
        self._seen = (-1, time.monotonic())

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests; call it from the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def watch_lease(self, path: Path, *, lease_seconds: float) -> None:
        """Stop in time when the worker no longer renews the lease file: the job may soon start elsewhere.

        After two thirds of the lease it asks to stop; after nine tenths, however busy the trainer is, it
        kills the process group. It measures elapsed time between changes of the file, so a jump of the clock
        is harmless.
        """
        self._lease = path, lease_seconds
        threading.Thread(target=self._watch, args=self._lease, daemon=True).start()

    @contextmanager
    def watched_from_outside(self) -> Iterator[None]:
        """Watch the lease from another process while no Python can run here; SIGTERM ends this process.

        Raises Stopped if it was told to stop before.
        """
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self.reason:  # checked only now: from here on, SIGTERM is not recorded but ends this process
            self.listen()
            raise Stopped(self.reason)
        trainer = os.getpid()
        watcher = os.fork()
        if watcher == 0:
            try:
                self._watch(*self._lease, alive=lambda: os.getppid() == trainer)
            finally:
                os._exit(0)  # after any error: the child must not become a second trainer
        try:
            yield
        finally:
            os.kill(watcher, signal.SIGKILL)
            os.waitpid(watcher, 0)
            self.listen()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.reason = f"received {signal.Signals(number).name}"

    def _watch(self, path: Path, lease_seconds: float, alive: Callable[[], bool] = lambda: True) -> None:
        while alive():
            # Python may be delayed before or after it reads the file; neither delay counts as silence.
            now = time.monotonic()
            changed = _modified(path)
            if changed != self._seen[0]:
                self._seen = changed, time.monotonic()
            silent = now - self._seen[1]
            if silent > KILL_AFTER * lease_seconds:
                _kill_group()
            if silent > STOP_AFTER * lease_seconds and not self.reason:
                self.reason = f"its worker has been gone for {silent:.0f} s"
            time.sleep(min(1.0, lease_seconds / 20))


def _kill_group() -> None:
    try:
        os.write(2, b"killed by itself: its worker is gone, and it did not stop in time\n")
    finally:  # also where the log's disk is full or lost
        os.killpg(0, signal.SIGKILL)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1
