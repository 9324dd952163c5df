"""Inspects processes of this host; a process is identified by its number and its start time."""

import pwd
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """Where a process belongs, all of one moment; `started` is in clock ticks since boot."""

    parent: int
    group: int
    session: int
    started: int


def find_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where none runs."""
    stat = find_stat(pid)
    return stat.started if stat else None


def is_running(pid: int | None, *, started: int | None) -> bool:
    """Whether this process still runs, not a later one with the same number; False if unknown."""
    return pid is not None and started is not None and find_start(pid) == started


def find_stat(pid: int) -> ProcessStat | None:
    """What /proc/PID/stat says; None when it does not run, as a zombie does not.

    psutil reads it anew for each of these, and adds to the start the time of boot, which changes with the
    clock.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # a name may be cut within a character
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    if state in "ZX":
        return None
    parent, group, session = map(int, fields[:3])
    return ProcessStat(parent=parent, group=group, session=session, started=int(fields[18]))


def are_users_proven() -> bool:
    """Whether user numbers mean the same here as on the whole machine.

    In one's own user namespace, as `unshare --user` makes it, everybody can be root or anybody else.
    """
    if sys.platform != "linux":
        return True  # the system has no user namespaces
    try:
        return is_whole_map(Path("/proc/self/uid_map").read_text())
    except OSError:
        return False


def is_whole_map(uid_map: str) -> bool:
    """Whether a user map is the initial namespace's: every number maps to itself."""
    return uid_map.split() == ["0", "0", "4294967295"]


def name_of_user(uid: int) -> str:
    """The name of a user of this machine, or `uid1000` if the user has none."""
    return find_user_name(uid) or f"uid{uid}"


def find_user_name(uid: int) -> str | None:
    """The name of a user of this machine; None if the user has none, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
