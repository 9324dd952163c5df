"""Appends a trainer's events to its log, the spool from which the worker fills SQL.

Each line is one JSON object with `kind` and `at`; docs/events.md lists the kinds.
"""

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from service.escaping import escape_document

MOST_UNWRITTEN = 8 * 1024 * 1024  # bytes that wait in memory while the disk is full
MANY = ("points", "progress")  # events that come all the time: they are dropped when more would wait
FINAL_EVENT_SECONDS = 60.0  # how long a full disk is waited for at the end
RETRY_SECONDS = 0.5


class Reporter:
    """Writes whole lines, so that a reader never sees half an event; safe to share between threads.

    What a full disk does not take is kept, and written in order before whatever comes next.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()
        self._unwritten = b""

    def started(self, *, step: int, exact: bool, note: str) -> None:
        """The first step of this attempt is done; `step` is where it began."""
        self._write("started", step=step, exact=exact, note=note)

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Values of metrics at a step; one that is not finite becomes null."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._write("points", step=step, values=finite)

    def epoch(self, epoch: int) -> None:
        """An epoch is complete; epochs count from 1."""
        self._write("epoch", epoch=epoch)

    def progress(self, **values: float | int | None) -> None:
        """How far the run is, for people to look at."""
        if not self._unwritten:
            self._write("progress", **values)

    def stage(self, text: str) -> None:
        """What is being done, or what is wrong, in words."""
        self._write("stage", text=text)

    def checkpoint(self, *, step: int, epoch: int, best: bool, size: int, digest: str, path: Path) -> None:
        """A checkpoint is safely on disk."""
        self._write(
            "checkpoint", step=step, epoch=epoch, best=best, bytes=size, digest=digest, path=str(path)
        )

    def ended(self, outcome: str, reason: str, **results: object) -> None:
        """The last event: how the attempt ended. Nothing is written after it.

        Raises:
            OSError: the disk stayed full.
        """
        deadline = time.monotonic() + FINAL_EVENT_SECONDS
        self._write("ended", outcome=outcome, reason=reason, **results)
        while self._unwritten and time.monotonic() < deadline:
            time.sleep(RETRY_SECONDS)
            self._flush()
        if self._unwritten:
            raise OSError("the disk is full: the final event cannot be written")
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, kind: str, **values: object) -> None:
        line = (
            json.dumps({"kind": kind, "at": time.time(), **escape_document(values)}, allow_nan=False) + "\n"
        )
        with self._lock:
            if len(self._unwritten) < MOST_UNWRITTEN or kind not in MANY:
                self._unwritten += line.encode()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            try:
                while self._unwritten:
                    self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
            except OSError:
                return  # a full disk: it waits for the next event
