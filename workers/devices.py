"""Finds the GPUs of this host: through NVML, or simulated ones."""

from collections.abc import Sequence

import pynvml

from service.domain.gpus import Gpu
from service.settings import Settings

DEFAULT_SIMULATED = 2
MIB = 1024 * 1024


def find_gpus(settings: Settings) -> Sequence[Gpu]:
    """The host's GPUs; without any, or when the settings say so, simulated ones."""
    wanted = settings.simulated_gpus
    real = _ask_nvml(settings.host_name) if wanted is None else []
    return real or simulate_gpus(settings.host_name, wanted or DEFAULT_SIMULATED)


def simulate_gpus(host_name: str, count: int) -> Sequence[Gpu]:
    """Logical CPU devices under the name of GPUs, so that the whole service runs anywhere."""
    return [
        Gpu(
            uuid=f"sim-{host_name}-{number}",
            host_name=host_name,
            number=number,
            model="simulated (CPU)",
            memory_mib=0,
            simulated=True,
        )
        for number in range(count)
    ]


def _ask_nvml(host_name: str) -> Sequence[Gpu]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []  # no driver, or no GPU that it can talk to
    try:
        return [_describe(host_name, number) for number in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _describe(host_name: str, number: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(number)
    return Gpu(
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        host_name=host_name,
        number=number,
        model=pynvml.nvmlDeviceGetName(handle),
        memory_mib=pynvml.nvmlDeviceGetMemoryInfo(handle).total // MIB,
        simulated=False,
    )
