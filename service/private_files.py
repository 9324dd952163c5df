"""Restricts the service's files to its own user, or to a group that a setting names.

Anybody who can open the database or a lock, even read-only, can block everybody else with it.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from service.domain.run_folder import ATTEMPT_NAME, SURVEYS_DIR
from service.settings import Settings

OTHERS = 0o007
GROUP_AND_OTHERS = 0o077
# In the data folder, by name: other files there may belong to a person.
WRITTEN = (
    *("cnnctl.db", "cnnctl.db-journal", "cnnctl.db-wal", "cnnctl.db-shm"),
    *("broker", "logs", "runs", "up.lock", "worker-*.lock", "datasets-checked"),
)


@cache
def close_umask() -> int:
    """Give others no right to new files; every call returns the original umask."""
    return os.umask(GROUP_AND_OTHERS)


def open_to_group(settings: Settings, *, folders: Iterable[Path]) -> None:
    """Share new files with the group of the settings, if any, and create missing folders accordingly.

    With SQLite the group may write the data folder; with a database server it only reads run folders.

    Raises:
        OSError: a folder cannot be created, or this user is not in the group.
    """
    group = settings.group_id
    if group is None:
        return
    os.umask(0o027 if settings.database else 0o007)
    for folder in folders:
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, -1, group)
            folder.chmod(0o2750 if settings.database else 0o2770)  # new files in it belong to the group, too


def tighten(settings: Settings) -> Sequence[Path]:
    """Remove rights that an older cnnctl left to others; return the affected paths."""
    return [path for path in list_open(settings) if _take_rights(path, _forbidden(settings))]


def list_open(settings: Settings) -> Sequence[Path]:
    """The service's files in the data folder and the run folders that others may read or change."""
    return [path for path in _list_written(settings) if _rights(path) & _forbidden(settings)]


def list_closed_to_group(settings: Settings) -> Sequence[Path]:
    """The folders whose new files do not belong to the group of the settings."""
    return [
        folder
        for folder in sorted({settings.home_dir, settings.runs_dir})
        if settings.group_id is not None
        and folder.is_dir()
        and not (folder.stat().st_gid == settings.group_id and folder.stat().st_mode & stat.S_ISGID)
    ]


def can_be_changed_by_others(folder: Path) -> bool:
    """Whether others may add files to a folder or remove files from it."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _list_written(settings: Settings) -> Iterator[Path]:
    for name in WRITTEN:
        yield from settings.home_dir.glob(name)
    with suppress(
        OSError
    ):  # a scheduler does not need the run folders: it may have no access, or the disk may be missing
        for path in settings.runs_dir.iterdir():
            if ATTEMPT_NAME.fullmatch(path.name) or path.name == SURVEYS_DIR:
                yield path


def _forbidden(settings: Settings) -> int:
    return GROUP_AND_OTHERS if settings.group_id is None else OTHERS


def _rights(path: Path) -> int:
    """The rights of others to a path; none for a symbolic link, whose target may not be the service's."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        return 0 if stat.S_ISLNK(mode) else stat.S_IMODE(mode)
    return 0


def _take_rights(path: Path, rights: int) -> bool:
    with suppress(OSError):  # another user's file, or a read-only disk: doctor names it
        path.chmod(_rights(path) & ~rights)
        return True
    return False
