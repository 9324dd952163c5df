"""Looks at processes of this host; a process is known by its number and the moment of its start."""

from pathlib import Path


def find_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where none runs; a zombie does not run."""
    fields = read_stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def is_running(pid: int, *, started: int) -> bool:
    """Whether this very process still runs, and not a later one of the same number."""
    return find_start(pid) == started


def read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
