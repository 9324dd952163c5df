"""Locks on open files. The kernel drops one with the process that holds it, however that ends."""

import fcntl
from pathlib import Path
from typing import IO, Any


def try_lock(file: IO[Any]) -> bool:
    """Take the lock of a file until it is closed; False when another one has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file; one that cannot be opened is another person's."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
