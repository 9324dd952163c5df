"""Distinguishes outsiders, which use GPUs from outside the queue, from this service's trainers."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.domain.gpus import Outsider
from service.process import find_stat, name_of_user
from workers.process_tree import list_run_dirs


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUser:
    """A trainer that this worker follows, and the GPUs that it holds."""

    pid: int | None
    """Its process; None before it has started."""
    run_dir: str
    """The folder that it writes to, which its children name as well."""
    gpu_uuids: tuple[str, ...]
    """The GPUs that it holds, on this host."""


def list_strangers(
    pids: Iterable[int], gpu_users: Sequence[GpuUser], *, worker_pid: int | None = None
) -> Iterator[int]:
    """The processes that run and belong neither to this worker nor to a trainer of its attempts."""
    worker = os.getpid() if worker_pid is None else worker_pid
    leaders = {trainer.pid for trainer in gpu_users if trainer.pid is not None}
    folders = {str(Path(trainer.run_dir).resolve()) for trainer in gpu_users}
    for pid in pids:
        related = _list_related(pid)
        if related and not related & {worker, *leaders} and not folders & _run_dirs_of(pid):
            yield pid


def describe(pid: int, *, memory_mib: int | None = None) -> Outsider:
    """Describe a process by its user and program name, without its arguments, which may be private."""
    user = command = None
    with suppress(OSError):
        command = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
        words = Path(f"/proc/{pid}/status").read_text(errors="replace").partition("\nUid:")[2].split()
        user = name_of_user(int(words[0]))
    return Outsider(pid=pid, user=user, command=command, memory_mib=memory_mib)


def _list_related(pid: int) -> set[int]:
    """A process with its ancestors, its group's leader and its session's; nothing when it does not run."""
    stat = find_stat(pid)
    if stat is None:
        return set()
    related = {pid, stat.group, stat.session}
    while stat:
        related.add(stat.parent)
        stat = find_stat(stat.parent)
    return related


def _run_dirs_of(pid: int) -> set[str]:
    return set(list_run_dirs([pid]).get(pid, ()))
