"""Hosts and their GPUs: what each is, its last reading, and who uses it from outside the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.states import GpuState, Standing

MOST_NAMED = 2  # outsiders of a GPU that are named one by one
HISTORY_DAYS = 30  # how far back the history of GPUs is shown; gc deletes what is older


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A device of a host; a simulated one is a logical CPU device and says so in its model.

    A `mig` GPU is an instance of a partitioned GPU: a process can use only one of them, so it takes jobs on
    one GPU only. `driver` is the version of its driver, None if it is simulated. `disk_full` is its host's
    standing.
    """

    uuid: str
    host_name: str
    number: int
    model: str
    memory_mib: int
    simulated: bool
    mig: bool = False
    driver: str | None = None
    state: GpuState = GpuState.AVAILABLE
    reason: str = ""
    disk_full: bool = False

    @property
    def name(self) -> str:
        """Its name for people: HOST:NUMBER."""
        return f"{self.host_name}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outsider:
    """A process that uses a GPU and is no trainer of this queue; None: its host cannot see it."""

    pid: int | None = None
    user: str | None = None
    command: str | None = None
    memory_mib: int | None = None

    def __str__(self) -> str:
        """As in `ada's python, pid 4711`; the same as long as it is the same process."""
        if self.pid is None:
            return "a process that cannot be seen from its host"
        owner = f"{self.user}'s" if self.user else "somebody's"
        return f"{owner} {self.command or 'process'}, pid {self.pid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a worker read of a GPU; None: the device does not report it.

    Of a simulated GPU, memory and utilization are those of its trainer's process. `ecc_errors` counts
    uncorrected ones since the driver was loaded.
    """

    temperature_celsius: int | None = None
    utilization_percent: int | None = None
    memory_used_mib: int | None = None
    ecc_errors: int | None = None
    outsiders: tuple[Outsider, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine with a worker; `heartbeat_at` is None when its worker has left, or gets no work.

    `clock_ahead_seconds` is how far its clock is ahead of the database's, None where nobody has measured it.
    """

    name: str
    worker: str
    cores: int
    heartbeat_at: datetime | None
    clock_ahead_seconds: float | None = None
    standing: Standing = Standing.REGISTERED


def format_gpus(count: int) -> str:
    """A number of GPUs as text: 1 GPU, 2 GPUs, …"""
    return "1 GPU" if count == 1 else f"{count} GPUs"


def is_model(model: str, wanted: str) -> bool:
    """Whether a GPU's model is what a person means: `h200` is an NVIDIA H200."""
    return wanted.casefold() in model.casefold()


def list_named(gpus: Sequence[Gpu], name: str) -> Sequence[Gpu]:
    """The GPUs that a person may mean: by UUID, by HOST:NUMBER, or by the beginning of the UUID."""
    exact = [gpu for gpu in gpus if name in (gpu.uuid, gpu.name)]
    return exact or [gpu for gpu in gpus if name and gpu.uuid.startswith(name)]


def explain_unusable(gpu: Gpu, outsiders: Sequence[Outsider]) -> str:
    """Why a GPU gets no new job, in words; empty when it may."""
    if gpu.state is not GpuState.AVAILABLE:
        return f"GPU {gpu.number} is {gpu.state.value}"
    if gpu.disk_full:
        return f"the disk of {gpu.host_name} has only the reserve left (CNNCTL_DISK_RESERVE)"
    if not outsiders:
        return ""
    named = [str(outsider) for outsider in outsiders[:MOST_NAMED]]
    more = len(outsiders) - len(named)
    who = "; ".join([*named, *([f"{more} more"] if more else [])])
    return f"GPU {gpu.number} is in use from outside the queue ({who})"
