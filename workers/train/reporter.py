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


class Reporter:
    """Writes whole lines, so that a reader never sees half an event; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()

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
        self._write("progress", **values)

    def stage(self, text: str) -> None:
        """What is being done before the first step, in words."""
        self._write("stage", text=text)

    def checkpoint(self, *, step: int, epoch: int, best: bool, size: int, digest: str, path: Path) -> None:
        """A checkpoint is safely on disk."""
        self._write(
            "checkpoint", step=step, epoch=epoch, best=best, bytes=size, digest=digest, path=str(path)
        )

    def checkpoint_removed(self, step: int) -> None:
        """A checkpoint was deleted to keep within the spec's number."""
        self._write("checkpoint_removed", step=step)

    def ended(self, outcome: str, reason: str, **results: object) -> None:
        """The last event: how the attempt ended. Nothing is written after it."""
        self._write("ended", outcome=outcome, reason=reason, **results)
        os.fsync(self._file.fileno())

    def _write(self, kind: str, **values: object) -> None:
        line = json.dumps({"kind": kind, "at": time.time(), **values}, allow_nan=False) + "\n"
        with self._lock:
            self._file.write(line.encode())
            self._file.flush()
