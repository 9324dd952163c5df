"""A trainer's process group: is it alive, make it stop, prove that it is gone."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessGroup:
    """A group led by `pid`; `started`, in clock ticks since boot, tells it from a later process `pid`."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Whether the leader runs; a zombie does not."""
        return _started(self.pid) == self.started

    def terminate(self) -> None:
        """Ask the leader to checkpoint and end."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self, *, timeout_seconds: float = 5.0) -> bool:
        """Kill every process of the group; False when one of them is still there after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while self.members() and time.monotonic() < deadline:
            for pid in self.members():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        return not self.members()

    def members(self) -> list[int]:
        """The group's processes that still run, whoever their parent is now."""
        if _started(self.pid) not in (None, self.started):
            return []  # the number is another process's now, so the group is gone
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        # The leader belongs to its group before it has made it.
        return [pid for pid in pids if self._holds(pid) or (pid == self.pid and self.is_alive())]

    def _holds(self, pid: int) -> bool:
        fields = _stat(pid)
        return bool(fields) and int(fields[2]) == self.pid and fields[0] not in "ZX"


def find_group(pid: int) -> ProcessGroup | None:
    """The group that a running process leads or will lead, or None when it has ended."""
    started = _started(pid)
    return None if started is None else ProcessGroup(pid=pid, started=started)


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
