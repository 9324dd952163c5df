"""Queries NVML: a host's GPUs and MIG instances, their measurements, and the processes on them.

This is the only file that uses NVML. `nvml` is the module `pynvml`; tests replace it, because few test
machines have a GPU. A value that a device does not support is None.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml
import structlog

MIB = 1024 * 1024
MIG_ENABLED = 1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU or MIG instance."""

    handle: Any
    """NVML's own handle."""
    uuid: str
    """The driver's name for it, the same after every reboot."""
    model: str
    """As NVML writes it, such as `NVIDIA H200`."""
    memory_mib: int
    """All of its memory."""
    mig: bool
    """Whether it is an instance of a partitioned GPU."""
    minor: int | None
    """The number of its device file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A process on a GPU."""

    pid: int
    """NVML's process number, which is not a container's own number."""
    memory_mib: int | None
    """What it holds of the GPU's memory."""
    graphics: bool
    """Whether it only draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A device's measurements; None where it does not support one."""

    temperature_celsius: int | None
    """Of the chip."""
    utilization_percent: int | None
    """The share of the last moment in which a kernel ran."""
    memory_used_mib: int | None
    """The memory in use; older drivers count their own as well."""
    ecc_errors: int | None
    """Memory errors that could not be corrected since the driver was loaded."""
    taken_mib: int | None
    """The memory in use, without the driver's own."""


def read_driver_version(nvml: Any = pynvml) -> str | None:
    """The version of the host's driver."""
    version = _ask(nvml, nvml.nvmlSystemGetDriverVersion)
    return None if version is None else str(version)


def list_devices(nvml: Any = pynvml) -> Sequence[Device]:
    """The GPUs in NVML's order; a partitioned GPU is replaced by its MIG instances."""
    found: list[Device] = []
    for number in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(number)
            found += _list_instances(nvml, handle) if _is_partitioned(nvml, handle) else [_gpu(nvml, handle)]
        except nvml.NVMLError as error:  # for example, a GPU that has fallen off the bus
            log.warning("nvml", action="gpu_left_out", number=number, error=str(error))
    return found


def measure(device: Device, nvml: Any = pynvml) -> Measured:
    """Read a device's sensors and counters."""
    handle = device.handle
    rates = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    # The first version of the query counts the driver's own memory as used.
    taken = _ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2))
    used = taken or _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    kind, counter = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    return Measured(
        temperature_celsius=_ask(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        utilization_percent=None if rates is None else int(rates.gpu),
        memory_used_mib=None if used is None else int(used.used) // MIB,
        ecc_errors=_ask(nvml, nvml.nvmlDeviceGetTotalEccErrors, handle, kind, counter),
        taken_mib=None if taken is None else int(taken.used) // MIB,
    )


def list_uses(device: Device, nvml: Any = pynvml) -> Sequence[Use]:
    """The processes on a device; a process that both computes and draws counts as computing."""
    return list_handle_uses(device.handle, nvml)


def list_handle_uses(handle: Any, nvml: Any) -> Sequence[Use]:
    """As `list_uses`, when only NVML's handle is known."""
    uses = {}
    for graphics, question in (
        (True, nvml.nvmlDeviceGetGraphicsRunningProcesses),
        (False, nvml.nvmlDeviceGetComputeRunningProcesses),
    ):
        for process in _ask(nvml, question, handle) or ():
            taken = process.usedGpuMemory
            mib = None if taken is None else int(taken) // MIB
            uses[process.pid] = Use(pid=process.pid, memory_mib=mib, graphics=graphics)
    return [uses[pid] for pid in sorted(uses)]


def _ask(nvml: Any, question: Callable[..., Any], *words: Any) -> Any:
    """NVML's answer, or None if it has none."""
    try:
        return question(*words)
    except nvml.NVMLError:
        return None


def _gpu(nvml: Any, handle: Any) -> Device:
    return _describe(nvml, handle, mig=False, minor=_ask(nvml, nvml.nvmlDeviceGetMinorNumber, handle))


def _is_partitioned(nvml: Any, handle: Any) -> bool:
    modes = _ask(nvml, nvml.nvmlDeviceGetMigMode, handle)
    return modes is not None and modes[0] == MIG_ENABLED


def _list_instances(nvml: Any, handle: Any) -> Iterator[Device]:
    for place in range(_ask(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        instance = _ask(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
        if instance is not None:  # not every device has one
            yield _describe(nvml, instance, mig=True, minor=None)


def _describe(nvml: Any, handle: Any, *, mig: bool, minor: int | None) -> Device:
    return Device(
        handle=handle,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        model=nvml.nvmlDeviceGetName(handle),
        memory_mib=nvml.nvmlDeviceGetMemoryInfo(handle).total // MIB,
        mig=mig,
        minor=minor,
    )
