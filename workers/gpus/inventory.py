"""Finds the GPUs of this host: real ones through NVML, or simulated ones."""

import os
from collections.abc import Sequence
from typing import Any

import pynvml

from service.domain.gpus import Gpu
from service.errors import NoRealGpus
from service.settings import Settings
from workers.gpus.nvml import MIB, list_devices, read_driver_version

DEFAULT_SIMULATED = 2
NO_LIBRARY = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND


def get_gpus(settings: Settings, *, had_real: bool, nvml: Any = pynvml) -> Sequence[Gpu]:
    """The host's GPUs, or simulated ones if the settings say so or no sign of real GPUs exists.

    `had_real`: whether this host has ever registered real GPUs.

    Raises:
        NoRealGpus: no GPU is usable, although GPUs are required, existed before, or NVML is installed.
    """
    if settings.simulated_gpus:
        return simulate_gpus(settings.host_name, settings.simulated_gpus)
    try:
        found = _ask_nvml(settings.host_name, nvml)
    except nvml.NVMLError as error:
        if error.value == NO_LIBRARY and not had_real and not settings.requires_gpus:
            return simulate_gpus(settings.host_name, DEFAULT_SIMULATED)
        raise NoRealGpus(
            _explain(settings, f"NVML reports: {str(error).rstrip('.')}", had_real=had_real)
        ) from None
    if not found:
        raise NoRealGpus(_explain(settings, "NVML finds no usable GPU", had_real=had_real))
    return found


def _explain(settings: Settings, why: str, *, had_real: bool) -> str:
    known = f", which had GPUs before under the name {settings.host_name}," if had_real else ""
    return (
        f"This host{known} has no usable GPU. {why}. See: nvidia-smi. "
        "To train on simulated GPUs (on the CPU), set CNNCTL_GPUS=sim:2"
    )


def simulate_gpus(host_name: str, count: int) -> Sequence[Gpu]:
    """Make logical CPU devices that act as GPUs, so that the whole service runs anywhere.

    Each has an equal part of the host's memory.
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
    """The GPUs that NVML lists.

    Raises:
        nvml.NVMLError: NVML is missing, or cannot reach its driver.
    """
    nvml.nvmlInit()
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
