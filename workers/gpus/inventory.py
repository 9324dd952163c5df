"""Finds the GPUs of this host: through NVML, or simulated ones."""

import os
from collections.abc import Sequence
from typing import Any

import pynvml

from service.domain.gpus import Gpu
from service.settings import Settings
from workers.gpus.nvml import MIB, list_devices, read_driver_version

DEFAULT_SIMULATED = 2


def find_gpus(settings: Settings, nvml: Any = pynvml) -> Sequence[Gpu]:
    """The host's GPUs; without any, or when the settings say so, simulated ones."""
    wanted = settings.simulated_gpus
    real = _ask_nvml(settings.host_name, nvml) if wanted is None else []
    return real or simulate_gpus(settings.host_name, wanted or DEFAULT_SIMULATED)


def simulate_gpus(host_name: str, count: int) -> Sequence[Gpu]:
    """Logical CPU devices under the name of GPUs, so that the whole service runs anywhere.

    Each has an even part of the host's memory.
    """
    host_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
    return [
        Gpu(
            uuid=f"sim-{host_name}-{number}",
            host_name=host_name,
            number=number,
            model="simulated (CPU)",
            memory_mib=host_mib // count,
            simulated=True,
        )
        for number in range(count)
    ]


def _ask_nvml(host_name: str, nvml: Any) -> Sequence[Gpu]:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []  # no driver, or no GPU that it can talk to
    try:
        driver = read_driver_version(nvml)
        return [
            Gpu(
                uuid=device.uuid,
                host_name=host_name,
                number=number,
                model=device.model,
                memory_mib=device.memory_mib,
                simulated=False,
                mig=device.mig,
                driver=driver,
            )
            for number, device in enumerate(list_devices(nvml))
        ]
    finally:
        nvml.nvmlShutdown()
