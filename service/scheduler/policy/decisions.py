"""The decisions that a plan consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.jobs import JobId, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Start a job on these GPUs now."""

    job_id: JobId
    host_name: str
    gpu_uuids: tuple[str, ...]
    """All GPUs of the job, on all of its hosts."""
    other_hosts: tuple[str, ...] = ()
    """The hosts of the job besides `host_name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """Stop a running job for a waiting job; its GPUs are free once it has written a checkpoint."""

    job_id: JobId
    for_job_id: JobId
    """The waiting job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Decisions of one tick."""

    placements: Sequence[Placement] = ()
    preemptions: Sequence[Preemption] = ()
    waiting: Sequence[Waiting] = ()
    wake_at: datetime | None = None
    """If nothing else changes, a new plan decides the same until then; None: until something changes."""
