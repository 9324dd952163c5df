"""What a plan says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.jobs import JobId, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Start this job on these GPUs now; those of `other_hosts` are among them."""

    job_id: JobId
    host_name: str
    gpu_uuids: tuple[str, ...]
    other_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """Stop this running job, for that waiting one; its GPUs are free once it has checkpointed."""

    job_id: JobId
    for_job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Decisions of one tick.

    Unless something happens before, a new plan would decide nothing else until `wake_at`.
    """

    placements: Sequence[Placement] = ()
    preemptions: Sequence[Preemption] = ()
    waiting: Sequence[Waiting] = ()
    wake_at: datetime | None = None
