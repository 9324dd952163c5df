"""Watches an SQLite file in use: notices that it was deleted or replaced by another file."""

import os
from contextlib import suppress
from pathlib import Path

RIGHTS = 0o660  # before the umask


class SqliteFile:
    """Remembers the file that was found first; SQLite itself keeps using that file after it is deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None

    def is_missing(self) -> bool:
        """Whether the file does not exist; False if a failing disk cannot tell."""
        try:
            return self._identify() is None
        except OSError:
            return False

    def make(self) -> None:
        """Create an empty file if it is missing; SQLite itself would give no group the right to write it."""
        if self.is_missing():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, RIGHTS))

    def explain_loss(self) -> str:
        """What happened to the file since it was first found, in words; empty: nothing."""
        try:
            now = self._identify()
        except OSError as error:
            return f"cannot be checked ({error.strerror})"
        if self._first is None:
            self._first = now
        if now == self._first:
            return ""
        return "is gone" if now is None else "was replaced by another file"

    def _identify(self) -> tuple[int, int] | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = self._path.stat()
            return found.st_dev, found.st_ino
        return None
