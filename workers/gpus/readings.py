"""Reads real GPUs: NVML's measurements, and the outsiders."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvml

from service.domain.gpus import Outsider, Reading
from workers.gpus.file_holders import list_file_holders
from workers.gpus.nvml import Device, Use, list_devices, list_uses, measure
from workers.gpus.outsiders import GpuUser, describe, list_strangers

# Display servers and the driver's own daemons draw with a few MiB on many hosts and disturb nobody.
GRAPHICS_MIB = 64
# If more than this is in use, beyond the driver's own, and NVML lists no process, there is an outsider that
# NVML does not name, as in containers. Every CUDA program uses more.
UNTOLD_MIB = 256


class GpuReadings:
    """Reads the GPUs of one host; NVML stays open between readings, because opening it wakes GPUs up.

    After an error NVML is reopened.
    """

    def __init__(self, nvml: Any = pynvml) -> None:
        self._nvml = nvml
        self._opened = False
        self._devices: Sequence[Device] = ()

    def read(self, list_gpu_users: Callable[[], Sequence[GpuUser]]) -> dict[str, Reading]:
        """A reading of each GPU, by UUID; none where the driver does not answer."""
        try:
            if not self._opened:
                self._nvml.nvmlInit()
                self._opened = True
                self._devices = list_devices(self._nvml)
            readings = {device.uuid: self._read(device, list_gpu_users) for device in self._devices}
        except self._nvml.NVMLError:
            readings = {}
        if all(reading.memory_used_mib is None for reading in readings.values()):
            self._close()  # the driver was reloaded, or GPUs were repartitioned
        return readings

    def _close(self) -> None:
        """Close NVML, which counts its openings: without this it would never really be reopened."""
        if self._opened:
            self._opened, self._devices = False, ()
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()

    def _read(self, device: Device, list_gpu_users: Callable[[], Sequence[GpuUser]]) -> Reading:
        held_before = _is_held(device, list_gpu_users())
        measured = measure(device, self._nvml)
        uses = list_uses(device, self._nvml)
        gpu_users = list_gpu_users()  # after the uses: one that is among them is known by now
        held = held_before or _is_held(device, gpu_users)
        told = _list_told(uses, gpu_users, held=held)
        untold = not uses and not held and (measured.taken_mib or 0) > UNTOLD_MIB
        return Reading(
            temperature_celsius=measured.temperature_celsius,
            utilization_percent=measured.utilization_percent,
            memory_used_mib=measured.memory_used_mib,
            ecc_errors=measured.ecc_errors,
            outsiders=_list_untold(device, measured.taken_mib, gpu_users) if untold else told,
        )


def _is_held(device: Device, gpu_users: Sequence[GpuUser]) -> bool:
    return any(device.uuid in trainer.gpu_uuids for trainer in gpu_users)


def _list_told(uses: Sequence[Use], gpu_users: Sequence[GpuUser], *, held: bool) -> tuple[Outsider, ...]:
    """Outsiders on NVML's list.

    In a container the list may have numbers of processes that are not visible there. On a GPU that a trainer
    holds, such a number counts as that trainer's.
    """
    found = []
    for use in uses:
        if use.graphics and (use.memory_mib or 0) < GRAPHICS_MIB:
            continue
        if not Path(f"/proc/{use.pid}").exists():
            if not held:
                found.append(Outsider(pid=use.pid, memory_mib=use.memory_mib))
        elif any(list_strangers([use.pid], gpu_users)):
            found.append(describe(use.pid, memory_mib=use.memory_mib))
    return tuple(found)


def _list_untold(device: Device, taken_mib: int | None, gpu_users: Sequence[GpuUser]) -> tuple[Outsider, ...]:
    """Who holds the device file open, where something is in use and NVML names nobody.

    Only then: monitoring programs hold the files of all GPUs open and use none.
    """
    path = f"/dev/nvidia{device.minor}"
    holders = list_file_holders({path})[path] if device.minor is not None else []
    seen = tuple(describe(pid) for pid in list_strangers(holders, gpu_users))
    return seen or (Outsider(memory_mib=taken_mib),)
