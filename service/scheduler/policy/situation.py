"""The input of a plan: plain values, read from SQL or made by a simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.domain.jobs import JobId
from service.domain.states import JobState, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A job that waits."""

    id: JobId
    owner: str
    gpus: int
    """The number of its GPUs on all hosts together."""
    submitted_at: datetime
    queued_at: datetime
    """Since when it waits: its submission, or the end of its last attempt."""
    priority: Priority = Priority.NORMAL
    attained_gpu_seconds: float = 0.0
    """The GPU time of its earlier attempts."""
    expected_seconds: float | None = None
    """How long it is expected to run still; None if nothing is known."""
    gittins_seconds: float | None = None
    """The price of finishing it, see `runtime_history.Forecast`; None if nothing is known."""
    limit_seconds: float | None = None
    """How long it may run still; None without a limit."""
    unmet: Mapping[JobId, JobState] = field(default_factory=dict)
    """The jobs that must succeed before it and have not, with their states."""
    not_before: datetime | None = None
    exclusive: bool = False
    """Whether it needs a host without other jobs."""
    gpu_model: str | None = None
    host: str | None = None
    """The only host that it may use; None: any."""
    hosts: int = 1
    """On how many hosts it runs; each gives the same number of GPUs."""
    memory_mib: int = 0
    """The memory that each of its GPUs must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job that holds GPUs."""

    id: JobId
    owner: str
    host_name: str
    gpu_uuids: tuple[str, ...]
    """All of its GPUs, on all of its hosts."""
    submitted_at: datetime
    queued_at: datetime
    """Since when it waited before `started_at`."""
    started_at: datetime
    """Since when it holds the GPUs."""
    priority: Priority = Priority.NORMAL
    attained_gpu_seconds: float = 0.0
    """The GPU time of all of its attempts so far."""
    expected_seconds: float | None = None
    """How long it is expected to run still; None if nothing is known."""
    gittins_seconds: float | None = None
    """The price of finishing it, see `runtime_history.Forecast`."""
    limit_seconds: float | None = None
    """How long it may run still; None without a limit."""
    preempted_at: tuple[datetime, ...] = ()
    """When it was preempted in the last hour."""
    exclusive: bool = False
    """Whether it needs a host without other jobs."""
    stopping: bool = False
    """Whether it was told to give its GPUs back."""
    other_hosts: tuple[str, ...] = ()
    """The hosts of the job besides `host_name`."""

    @property
    def gpus(self) -> int:
        return len(self.gpu_uuids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A person with jobs."""

    weight: float = 1.0
    used_gpu_seconds: float = 0.0
    """The use so far, which decays with the half-life of the settings."""
    quota_gpus: int | None = None
    """How many GPUs the person's jobs may hold at once; None: any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU of a host."""

    uuid: str
    model: str = ""
    memory_mib: int = 0
    """Its memory; 0 limits nothing."""
    usable: bool = True
    """False while it is quarantined, drained, or used from outside the queue."""
    mig: bool = False
    """Whether it is a MIG instance, which takes only jobs on one GPU."""
    why: str = ""
    """Why it is not usable, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host whose worker is alive."""

    name: str
    gpus: tuple[HostGpu, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole input of a plan."""

    queued: Sequence[QueuedJob]
    """The queue, in any order."""
    hosts: Sequence[Host]
    """The hosts that are up."""
    running: Sequence[RunningJob] = ()
    """All jobs that hold GPUs."""
    owners: Mapping[str, Owner] = field(default_factory=dict)
    """The owners by name; an owner who is missing has the defaults."""
