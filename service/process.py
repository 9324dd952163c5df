"""Looks at processes of this host; a process is known by its number and the moment of its start."""

import pwd
import sys
from pathlib import Path

# Of what `read_stat` gives; times are in clock ticks, what is resident in pages.
PARENT, GROUP, SESSION, USER_TIME, SYSTEM_TIME, STARTED, RESIDENT = 1, 2, 3, 11, 12, 19, 21


def find_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where none runs."""
    fields = read_stat(pid)
    return int(fields[STARTED]) if fields else None


def is_running(pid: int | None, *, started: int | None) -> bool:
    """Whether this very process still runs, and not a later one of the same number; not, where unknown."""
    return pid is not None and started is not None and find_start(pid) == started


def read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when it does not run, as a zombie does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # a name may be cut within a letter
    except (FileNotFoundError, ProcessLookupError):
        return []
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] in "ZX" else fields


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
