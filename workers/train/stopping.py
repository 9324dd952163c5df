"""Tells a trainer to stop: SIGTERM from its worker, or a worker that is gone."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType


class Stopped(Exception):
    """A trainer was told to stop before its first step; nothing was trained, so nothing is lost."""


class StopRequest:
    """Why the trainer should stop at the next step; empty while it should go on."""

    def __init__(self) -> None:
        self.reason = ""

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests; call it from the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def watch_lease(self, path: Path, *, lease_seconds: float) -> None:
        """Stop when the worker has not renewed the lease file for that long.

        It counts its own seconds between changes of the file, so that a jump of the clock does no harm.
        """
        watcher = threading.Thread(target=self._watch, args=(path, lease_seconds), daemon=True)
        watcher.start()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.reason = f"received {signal.Signals(number).name}"

    def _watch(self, path: Path, lease_seconds: float) -> None:
        seen, since = -1, time.monotonic()
        while not self.reason:
            changed = path.stat().st_mtime_ns if path.exists() else -1
            if changed != seen:
                seen, since = changed, time.monotonic()
            elif time.monotonic() - since > lease_seconds:
                self.reason = f"its worker has been gone for {lease_seconds:g} s"
            time.sleep(min(1.0, lease_seconds / 10))
