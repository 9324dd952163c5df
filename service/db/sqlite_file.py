"""An SQLite file while it is in use: notices that it was deleted, or that another one has taken its place."""

import os
from contextlib import suppress
from pathlib import Path

RIGHTS = 0o660  # less what the umask takes


class SqliteFile:
    """Remembers which file was found first; SQLite itself goes on with that one when it is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None

    def is_missing(self) -> bool:
        """Whether there is no file; not where a disk that fails does not say."""
        try:
            return self._identify() is None
        except OSError:
            return False

    def make(self) -> None:
        """Make an empty one, where there is none; SQLite itself would give no group the right to write it."""
        if self.is_missing():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, RIGHTS))

    def explain_loss(self) -> str:
        """What has happened to the file since it was found first, in words; empty where nothing has."""
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
