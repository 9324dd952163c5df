"""A trainer and its descendants: checks that they live, stops them, proves that they are gone."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from service.domain.run_folder import EVENTS_FILE, LOG_FILE
from service.process import ProcessStat, find_stat, is_running

# In a trainer's environment, so that programs that it starts can be recognized, whatever they do.
MARK = "TRAINER_RUN_DIR"

KILL_SECONDS = 5.0
DELETED = " (deleted)"  # how the system names an open file that was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTree:
    """A trainer and its descendants.

    A process belongs to the tree by its group, session or parent; because it has the event log open, as
    forked children have; or by its mark, which programs that the trainer started inherit.
    """

    pid: int | None
    """The trainer's process; None before it has started, or where it is not known."""
    started: int | None
    """When it started, in clock ticks since boot: a later process with its number is another one."""
    run_dir: str
    """The folder that the trainer writes to."""

    def is_alive(self) -> bool:
        """Whether the trainer itself runs; a zombie does not."""
        return is_running(self.pid, started=self.started)

    def proven(self) -> "ProcessTree":
        """The tree; without `pid` if that process runs but does not write into the folder."""
        if self.pid is None or not self.is_alive():
            return self
        known = self._resolved() in list_run_dirs([self.pid]).get(self.pid, ())
        return self if known else replace(self, pid=None, started=None)

    def terminate(self) -> None:
        """Ask the trainer to checkpoint and end."""
        if self.pid is not None and self.is_alive():
            self.send(self.pid, signal.SIGTERM)

    def send(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process, which may be gone, or belong to another user by now."""
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)

    def kill(self, *, timeout_seconds: float = KILL_SECONDS) -> bool:
        """Kill every process of the tree; False if one still runs after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while (members := self.members()) and time.monotonic() < deadline:
            for pid in members:
                self.send(pid, signal.SIGKILL)
            time.sleep(0.02)
        return not members

    def members(self) -> list[int]:
        """The processes of the tree that still run, whatever their parent is now."""
        running = _running()
        leader = running.get(self.pid) if self.pid is not None else None
        # While a group or a session has members, no other process gets its number.
        ours = leader is None or leader.started == self.started
        found = {pid for pid, stat in running.items() if ours and self._leads(pid, stat)}
        found |= {pid for pid, folders in list_run_dirs(running).items() if self._resolved() in folders}
        while more := {pid for pid, stat in running.items() if stat.parent in found} - found:
            found |= more
        return sorted(found)

    def _leads(self, pid: int, stat: ProcessStat) -> bool:
        return self.pid is not None and self.pid in (pid, stat.group, stat.session)

    def _resolved(self) -> str:
        return str(Path(self.run_dir).resolve())


def list_run_dirs(pids: Iterable[int] | None = None) -> Mapping[int, Set[str]]:
    """The run folders that all or these processes write to or are marked with, without this folder."""
    found = {}
    for pid in _running() if pids is None else pids:
        if pid != os.getpid():
            with suppress(OSError):
                found[pid] = {*_written_by(pid), *_marked_on(pid)}
    return found


def _written_by(pid: int) -> Iterator[str]:
    """Folders where a process has a trainer's log or event log open for writing; readers are people."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed just now: the process has other files, and its mark
            path = link.readlink()
            if path.name.removesuffix(DELETED) in (EVENTS_FILE, LOG_FILE) and _is_written(pid, link.name):
                yield str(path.parent)


def _is_written(pid: int, number: str) -> bool:
    info = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
    return int(info.partition("flags:")[2].split()[0], 8) & os.O_ACCMODE != os.O_RDONLY


def _marked_on(pid: int) -> Iterator[str]:
    prefix = f"{MARK}=".encode()
    for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if word.startswith(prefix):
            yield str(Path(os.fsdecode(word.removeprefix(prefix))).resolve())


def _running() -> Mapping[int, ProcessStat]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return {pid: stat for pid in pids if (stat := find_stat(pid))}
