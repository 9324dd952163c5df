"""Appends a trainer's events to its log, the spool from which the worker fills SQL.

service/domain/trainer_events.py has the events and their lines.
"""

import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from service.domain.jobs import Progress
from service.domain.trainer_events import Ended, Event, Points, encode

MOST_UNWRITTEN = 8 * 1024 * 1024  # bytes that wait in memory while the disk is full
MANY = (Points, Progress)  # frequent events: they are dropped when more would have to wait
FINAL_EVENT_SECONDS = 60.0  # how long the end waits for a full disk
RETRY_SECONDS = 0.5


class Reporter:
    """Writes whole lines, so that a reader never sees half an event; safe to share between threads.

    Lines that a full disk refuses are kept, and written in order before the next line.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()
        self._unwritten = b""

    def report(self, event: Event) -> None:
        """Report an event; progress is dropped while earlier events wait for the disk."""
        if not (isinstance(event, Progress) and self._unwritten):
            self._write(event)

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Report values of metrics at a step; a value that is not finite becomes null."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.report(Points(step=step, values=finite))

    def ended(self, event: Ended) -> None:
        """Report how the attempt ended. Nothing is written after it.

        Raises:
            OSError: the disk stayed full.
        """
        deadline = time.monotonic() + FINAL_EVENT_SECONDS
        self._write(event)
        while self._unwritten and time.monotonic() < deadline:
            time.sleep(RETRY_SECONDS)
            self._flush()
        if self._unwritten:
            raise OSError("the disk is full: the final event cannot be written")
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, event: Event) -> None:
        line = encode(event, at=time.time())
        with self._lock:
            if len(self._unwritten) < MOST_UNWRITTEN or not isinstance(event, MANY):
                self._unwritten += line
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            try:
                while self._unwritten:
                    self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
            except OSError:
                return  # a full disk: the line waits for the next event
