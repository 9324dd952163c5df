"""Asks NVML: a host's GPUs and MIG instances, what they measure, and the processes on them.

The only file that inventories and reads through NVML. `nvml` is the module `pynvml`; tests play its answers,
since few machines that test have a GPU. What a device does not support is None.
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
    """A GPU, or a MIG instance of one; `handle` is NVML's, `minor` the number of its device file."""

    handle: Any
    uuid: str
    model: str
    memory_mib: int
    mig: bool
    minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A process on a GPU, as NVML numbers it: outside a container's own numbers."""

    pid: int
    memory_mib: int | None
    graphics: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a device measures; `taken_mib` is memory in use, without what the driver keeps for itself."""

    temperature_celsius: int | None
    utilization_percent: int | None
    memory_used_mib: int | None
    ecc_errors: int | None
    taken_mib: int | None


def read_driver_version(nvml: Any = pynvml) -> str | None:
    """The version of the host's driver."""
    version = _ask(nvml, nvml.nvmlSystemGetDriverVersion)
    return None if version is None else str(version)


def list_devices(nvml: Any = pynvml) -> Sequence[Device]:
    """The GPUs in NVML's order; one that is partitioned is replaced by its MIG instances."""
    found: list[Device] = []
    for number in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(number)
            found += _list_instances(nvml, handle) if _is_partitioned(nvml, handle) else [_gpu(nvml, handle)]
        except nvml.NVMLError as error:  # as of one that has fallen off the bus
            log.warning("nvml", action="gpu_left_out", number=number, error=str(error))
    return found


def measure(device: Device, nvml: Any = pynvml) -> Measured:
    """Read a device's sensors and counters."""
    handle = device.handle
    rates = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    # The first form of the question counts what the driver keeps for itself as used.
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
    """The processes that NVML knows on a device; one that both computes and draws counts as computing."""
    return list_handle_uses(device.handle, nvml)


def list_handle_uses(handle: Any, nvml: Any) -> Sequence[Use]:
    """As `list_uses`, where only NVML's handle is known."""
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
    """NVML's answer, or None where it has none."""
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
        if instance is not None:  # not every place has one
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
