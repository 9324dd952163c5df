"""The log file of a child process of the embedded stack: rotates it, and reads its newest lines."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

MOST_BYTES = 10 * 1024 * 1024
TAIL_BYTES = 64 * 1024
TAIL_LINES = 20
PAUSE_SECONDS = 60.0  # after a failed copy: where the disk is full, others need the space more


class ChildLog:
    """A file to which a child appends; once it is large, its lines move to `NAME.log.1`.

    It is no pipe, because a pipe needs a reader: a stack stopped with Ctrl-Z would block its children.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = 0
        self._next_try = 0.0

    def open(self) -> IO[bytes]:
        """Open it for a child that starts now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab")
        self._begin = file.tell()
        return file

    def rotate_if_large(self) -> None:
        """Move its lines to `NAME.log.1`; a line that is written meanwhile may be lost.

        The child keeps the file open, so the file is copied and truncated.
        """
        copy = self.path.with_name(f"{self.path.name}.1")
        unfinished = self.path.with_name(f"{self.path.name}.tmp")
        try:
            if self.path.stat().st_size > MOST_BYTES and time.monotonic() >= self._next_try:
                shutil.copyfile(self.path, unfinished)
                unfinished.rename(copy)
                with self.path.open("r+b") as file:
                    file.truncate()
                self._begin = 0
        except OSError:  # a full disk, or somebody deletes the file: the older copy stays
            self._next_try = time.monotonic() + PAUSE_SECONDS
            unfinished.unlink(missing_ok=True)

    def read_tail(self) -> Sequence[str]:
        """The last lines since `open`."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(min(size, max(self._begin, size - TAIL_BYTES)))
                return file.read().decode(errors="replace").strip().splitlines()[-TAIL_LINES:]
        except FileNotFoundError:
            return ()
