"""Keeps a share of the disk free: for the database, for logs, and for a job that must stop."""

import errno
import shutil
from pathlib import Path


class NoSpace(OSError):
    """A write would use the disk's reserve; the message names the disk."""

    def __init__(self, folder: Path, *, reserve_percent: float) -> None:
        words = (
            f"less than {reserve_percent:g} % of the disk of {folder} would stay free (CNNCTL_DISK_RESERVE)"
        )
        super().__init__(errno.ENOSPC, words)

    def __str__(self) -> str:
        return str(self.strerror)


def check_free_space(folder: Path, *, reserve_percent: float, wanted_bytes: int = 0) -> None:
    """Refuse to write this many bytes into a folder, which need not exist yet.

    Raises:
        NoSpace: less than the reserve would remain free.
        OSError: the disk cannot be queried.
    """
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    disk = shutil.disk_usage(there)
    if reserve_percent and disk.free - wanted_bytes < disk.total * reserve_percent / 100:
        raise NoSpace(folder, reserve_percent=reserve_percent)
