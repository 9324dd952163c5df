"""Keeps what the service writes from everybody but its own user, or a group that a setting names.

Who can open the database or a lock, be it for reading, can keep everybody else waiting with it.
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
# In the data folder, by name: what else lies there may be somebody's own.
WRITTEN = (
    *("cnnctl.db", "cnnctl.db-journal", "cnnctl.db-wal", "cnnctl.db-shm"),
    *("broker", "logs", "runs", "up.lock", "worker-*.lock", "datasets-checked"),
)


@cache
def close_umask() -> int:
    """Give nobody else a right to files made from now on; returns, at every call, the umask from before."""
    return os.umask(GROUP_AND_OTHERS)


def open_to_group(settings: Settings, *, folders: Iterable[Path]) -> None:
    """Share files made from now on with the group of the settings, if any, and make missing folders so.

    The group writes an SQLite database and all beside it; where the database is a server, it only reads.

    Raises:
        OSError: a folder cannot be made, or this user is not in the group.
    """
    group = settings.group_id
    if group is None:
        return
    os.umask(0o027 if settings.database else 0o007)
    for folder in folders:
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, -1, group)
            folder.chmod(0o2750 if settings.database else 0o2770)  # what is made in it is the group's, too


def tighten(settings: Settings) -> Sequence[Path]:
    """Take from others the rights to what an older cnnctl has left them; returns what that concerned."""
    return [path for path in list_open(settings) if _take_rights(path, _forbidden(settings))]


def list_open(settings: Settings) -> Sequence[Path]:
    """What the service wrote in the data folder and among the run folders, and others may read or change."""
    return [path for path in _list_written(settings) if _rights(path) & _forbidden(settings)]


def list_closed_to_group(settings: Settings) -> Sequence[Path]:
    """The folders in which new files are not the group's of the settings."""
    return [
        folder
        for folder in sorted({settings.home_dir, settings.runs_dir})
        if settings.group_id is not None
        and folder.is_dir()
        and not (folder.stat().st_gid == settings.group_id and folder.stat().st_mode & stat.S_ISGID)
    ]


def can_be_changed_by_others(folder: Path) -> bool:
    """Whether others may put files into a folder, and take away those that are there."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _list_written(settings: Settings) -> Iterator[Path]:
    for name in WRITTEN:
        yield from settings.home_dir.glob(name)
    with suppress(OSError):  # a scheduler has no need of run folders: closed to it, on a disk that is away
        for path in settings.runs_dir.iterdir():
            if ATTEMPT_NAME.fullmatch(path.name) or path.name == SURVEYS_DIR:
                yield path


def _forbidden(settings: Settings) -> int:
    return GROUP_AND_OTHERS if settings.group_id is None else OTHERS


def _rights(path: Path) -> int:
    """Of a symbolic link none: what it leads to is not ours to change."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        return 0 if stat.S_ISLNK(mode) else stat.S_IMODE(mode)
    return 0


def _take_rights(path: Path, rights: int) -> bool:
    with suppress(OSError):  # another user's, or on a disk that takes no change: doctor names it
        path.chmod(_rights(path) & ~rights)
        return True
    return False
