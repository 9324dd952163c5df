"""Reads this host's GPUs every few seconds, in its own thread: a driver that hangs delays nothing else."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pynvml
import structlog

from service.domain.gpus import Gpu, Reading
from workers.gpus.outsiders import GpuUser
from workers.gpus.readings import GpuReadings
from workers.gpus.simulated_readings import SimulatedReadings

READ_SECONDS = 5.0

log = structlog.get_logger()


class GpuWatch:
    """Keeps the newest readings until they are taken."""

    def __init__(
        self,
        gpus: Sequence[Gpu],
        devices_dir: Path,
        list_gpu_users: Callable[[], Sequence[GpuUser]],
        *,
        threads_per_gpu: int,
        nvml: Any = pynvml,
    ) -> None:
        simulated = SimulatedReadings(gpus, devices_dir, threads_per_gpu=threads_per_gpu)
        self._read = simulated.read if all(gpu.simulated for gpu in gpus) else GpuReadings(nvml).read
        self._known = {gpu.uuid for gpu in gpus}
        self._list_gpu_users = list_gpu_users
        self._newest: Mapping[str, Reading] = {}
        self._lock = threading.Lock()
        self.has_read = threading.Event()

    def run(self, stopped: threading.Event, *, pause_seconds: float = READ_SECONDS) -> None:
        """Read again and again until `stopped` is set."""
        while True:
            try:
                self.read()
            except Exception:
                log.exception("gpus", action="read_failed")
            if stopped.wait(pause_seconds):
                return

    def read(self) -> None:
        """Read once, GPUs that were registered only: partitions may have changed since."""
        readings = self._read(self._list_gpu_users)
        with self._lock:
            self._newest = {uuid: readings[uuid] for uuid in readings.keys() & self._known}
        self.has_read.set()

    def take(self) -> Mapping[str, Reading]:
        """The readings since the last call; empty if there were none, as while the driver hangs."""
        with self._lock:
            taken, self._newest = self._newest, {}
        return taken
