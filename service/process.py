"""Looks at processes of this host; a process is known by its number and the moment of its start."""

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
    """Whether this very process still runs, and not a later one of the same number; not, where unknown."""
    return pid is not None and started is not None and find_start(pid) == started


def find_stat(pid: int) -> ProcessStat | None:
    """What /proc/PID/stat says; None when it does not run, as a zombie does not.

    psutil reads it anew for each of these, and adds to the start the time of boot, which changes with the
    clock.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # a name may be cut within a letter
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    if state in "ZX":
        return None
    parent, group, session = map(int, fields[:3])
    return ProcessStat(parent=parent, group=group, session=session, started=int(fields[18]))


def are_users_proven() -> bool:
    """Whether the numbers of users mean here what they mean to the machine.

    In a user namespace of one's own, as `unshare --user` makes, everybody can be root, or anybody else.
    """
    if sys.platform != "linux":
        return True  # it has no user namespaces
    try:
        return is_whole_map(Path("/proc/self/uid_map").read_text())
    except OSError:
        return False


def is_whole_map(uid_map: str) -> bool:
    """Whether a map of users is that of the initial user namespace: every number is itself."""
    return uid_map.split() == ["0", "0", "4294967295"]


def name_of_user(uid: int) -> str:
    """The name of a user of this machine, or `uid1000` where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container
        return f"uid{uid}"
