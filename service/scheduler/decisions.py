"""What a plan says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.jobs import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Start this job on these GPUs now."""

    job_id: JobId
    host_name: str
    gpu_uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """Stop this running job, for that waiting one; its GPUs are free once it has checkpointed."""

    job_id: JobId
    for_job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Leave this job in the queue, for a reason in words; `estimated_start_at` where there is a guess."""

    job_id: JobId
    reason: str
    estimated_start_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Decisions of one tick.

    `expired` are running jobs that are over their time limit. Unless something happens before, a new plan
    would decide nothing else until `wake_at`.
    """

    placements: Sequence[Placement] = ()
    preemptions: Sequence[Preemption] = ()
    waiting: Sequence[Waiting] = ()
    expired: Sequence[JobId] = ()
    wake_at: datetime | None = None
