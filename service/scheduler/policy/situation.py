"""What a plan is made from: plain values, read from SQL or made up by a simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.domain.jobs import JobId
from service.domain.states import JobState, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A job that waits; over several `hosts`, each gives the same number of its GPUs.

    `queued_at` is since when: its submission, or the end of its last attempt. `expected_seconds` is how long
    it is thought to run still and `gittins_seconds` what finishing it costs, see `history.Forecast`; both are
    the same where one knows how long. `limit_seconds` is how long it may run still. `unmet` are the jobs that
    have to succeed before it and have not, with their states. `memory_mib` is what each of its GPUs
    must have.
    """

    id: JobId
    owner: str
    gpus: int
    submitted_at: datetime
    queued_at: datetime
    priority: Priority = Priority.NORMAL
    attained_gpu_seconds: float = 0.0
    expected_seconds: float | None = None
    gittins_seconds: float | None = None
    limit_seconds: float | None = None
    unmet: Mapping[JobId, JobState] = field(default_factory=dict)
    not_before: datetime | None = None
    exclusive: bool = False
    gpu_model: str | None = None
    host: str | None = None
    hosts: int = 1
    memory_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job that holds GPUs; `stopping` once it was told to give them back.

    `queued_at` is since when it waited before `started_at`, from when it holds the GPUs. `preempted_at` are
    the moments of the last hour at which it was stopped for another.
    """

    id: JobId
    owner: str
    host_name: str
    gpu_uuids: tuple[str, ...]
    submitted_at: datetime
    queued_at: datetime
    started_at: datetime
    priority: Priority = Priority.NORMAL
    attained_gpu_seconds: float = 0.0
    expected_seconds: float | None = None
    gittins_seconds: float | None = None
    limit_seconds: float | None = None
    preempted_at: tuple[datetime, ...] = ()
    exclusive: bool = False
    stopping: bool = False
    other_hosts: tuple[str, ...] = ()

    @property
    def gpus(self) -> int:
        return len(self.gpu_uuids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What is known of a user: `used_gpu_seconds` decays with the half-life of the settings."""

    weight: float = 1.0
    used_gpu_seconds: float = 0.0
    quota_gpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU of a host; not `usable` while it is in quarantine, drained, or used from outside the queue.

    `why` says in words why it is not. A `mig` instance is for jobs on one GPU only. A `memory_mib` of 0
    limits nothing.
    """

    uuid: str
    model: str = ""
    memory_mib: int = 0
    usable: bool = True
    mig: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host whose worker is heard."""

    name: str
    gpus: tuple[HostGpu, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The queue in any order, all jobs that hold GPUs, the hosts that are up, and the owners by name."""

    queued: Sequence[QueuedJob]
    hosts: Sequence[Host]
    running: Sequence[RunningJob] = ()
    owners: Mapping[str, Owner] = field(default_factory=dict)
