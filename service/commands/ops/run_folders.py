"""Finds run folders and what lies in them on this host's disk, whatever the database says of them."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.domain.run_folder import (
    ATTEMPT_NAME,
    CHECKPOINT_NAME,
    CHECKPOINTS_DIR,
    FOUND_NAME,
    UNFINISHED_NAME,
)
from service.store.jobs import attempts
from service.store.transaction import Transaction

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """A folder `<job>/<attempt>`; `number` is None if a worker has moved it aside."""

    path: Path
    job: int
    number: int | None

    def touched_at(self) -> float:
        """When something was last put into it or it was moved aside, in seconds since 1970."""
        aside = FOUND_NAME.fullmatch(self.path.name)
        moments = [int(aside[1]) / NANOSECONDS] if aside else []
        with suppress(FileNotFoundError):  # it may be deleted meanwhile
            for path in (self.path, *self.path.iterdir()):
                moments.append(path.lstat().st_mtime)
        return max(moments, default=time.time())


def list_run_folders(runs_dir: Path) -> Sequence[RunFolder]:
    """Every folder at the path of an attempt's, and those that were moved aside."""
    return [
        RunFolder(path=path, job=int(job.name), number=_number(path))
        for job in _list_folders(runs_dir, ATTEMPT_NAME)
        for path in _list_folders(job, ATTEMPT_NAME, FOUND_NAME)
    ]


def keep_orphans(tx: Transaction, folders: Sequence[RunFolder]) -> Sequence[RunFolder]:
    """Keep the folders that belong to no attempt in the database.

    List the folders before: a worker creates a folder after its attempt is in the database.
    """
    known = attempts.list_numbers(tx)
    return [folder for folder in folders if folder.number is None or (folder.job, folder.number) not in known]


def list_checkpoint_folders(run_dir: Path) -> Iterator[Path]:
    """The checkpoints in a run folder."""
    return _list_folders(run_dir / CHECKPOINTS_DIR, CHECKPOINT_NAME)


def list_unfinished_folders(run_dir: Path) -> Iterator[Path]:
    """The checkpoints in a run folder that a trainer has begun to write."""
    return _list_folders(run_dir / CHECKPOINTS_DIR, UNFINISHED_NAME)


def size_of(folder: Path) -> int:
    """The bytes of all files under a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size if path.is_symlink() or path.is_file() else 0
    return total


def _list_folders(parent: Path, *names: "re.Pattern[str]") -> Iterator[Path]:
    """Folders of these names, except symbolic links: what a link points to is somebody else's."""
    if not parent.is_dir():
        return
    for path in sorted(parent.iterdir()):
        if any(name.fullmatch(path.name) for name in names) and path.is_dir() and not path.is_symlink():
            yield path


def _number(path: Path) -> int | None:
    return int(path.name) if ATTEMPT_NAME.fullmatch(path.name) else None
