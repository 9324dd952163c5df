"""Reads simulated GPUs: the use by their trainer's process, and the holders of their device file."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from service.domain.gpus import Gpu, Reading
from workers.gpus.file_holders import list_file_holders
from workers.gpus.nvml import MIB
from workers.gpus.outsiders import GpuUser, describe, list_strangers


class SimulatedReadings:
    """Reads simulated GPUs of one host.

    A GPU's memory in use is the resident memory of its trainer's process. Its utilization is the share of its
    CPU threads that the process uses. A job on several GPUs uses each equally. Without a trainer both
    are 0. Temperature and ECC errors are not simulated. A process that has `devices_dir/UUID` open is an
    outsider.
    """

    def __init__(self, gpus: Sequence[Gpu], devices_dir: Path, *, threads_per_gpu: int) -> None:
        self._gpus = gpus
        self._devices_dir = devices_dir
        self._threads_per_gpu = threads_per_gpu
        self._before: Mapping[int, tuple[float, float]] = {}

    def read(self, list_gpu_users: Callable[[], Sequence[GpuUser]]) -> Mapping[str, Reading]:
        """A reading of each GPU, by UUID."""
        files = {
            str(path.resolve()): gpu.uuid
            for gpu in self._gpus
            if (path := self._devices_dir / gpu.uuid).exists()
        }
        # Without a device file there is no search: the search is expensive.
        holders = {files[path]: pids for path, pids in list_file_holders(files).items()} if files else {}
        gpu_users = list_gpu_users()  # after the holders: one that is among them is known by now
        taken = self._measure(gpu_users)
        return {
            gpu.uuid: Reading(
                memory_used_mib=taken.get(gpu.uuid, (0, 0))[0],
                utilization_percent=taken.get(gpu.uuid, (0, 0))[1],
                outsiders=tuple(
                    describe(pid) for pid in list_strangers(holders.get(gpu.uuid, ()), gpu_users)
                ),
            )
            for gpu in self._gpus
        }

    def _measure(self, gpu_users: Sequence[GpuUser]) -> Mapping[str, tuple[int | None, int | None]]:
        """MiB and percent by GPU; percent needs two looks at a process."""
        seen, taken = {}, {}
        for trainer in gpu_users:
            if trainer.pid is None:
                continue
            try:
                process = psutil.Process(trainer.pid)
                cpu, resident = process.cpu_times(), process.memory_info().rss
            except psutil.Error:  # it has ended
                continue
            seen[trainer.pid] = (time.monotonic(), cpu.user + cpu.system)
            count = len(trainer.gpu_uuids)
            mib = resident // MIB // max(1, count)
            percent = self._percent(trainer.pid, seen[trainer.pid], count=count)
            taken.update(dict.fromkeys(trainer.gpu_uuids, (mib, percent)))
        self._before = seen
        return taken

    def _percent(self, pid: int, now: tuple[float, float], *, count: int) -> int | None:
        if pid not in self._before:
            return None
        seconds, cpu = (new - old for new, old in zip(now, self._before[pid], strict=True))
        given = max(seconds, 1e-3) * self._threads_per_gpu * max(1, count)
        return min(100, round(100 * cpu / given))
