"""Estimates when waiting jobs will start."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf, isfinite

from service.domain.jobs import Job, Waiting
from service.scheduler.policy.ordering import Ranks
from service.scheduler.policy.placement import HostCapacity, count_suited
from service.scheduler.policy.preemption import yields_in_seconds
from service.scheduler.policy.reservation import STOP_SECONDS, expected_end_seconds
from service.scheduler.policy.situation import QueuedJob

LOOKED_AT = 100  # up to this place in the line single GPUs are counted; behind it only the work
LEAST_MOVE_SECONDS = 5.0  # a start that moves by less is not stored
LEAST_MOVE = 0.1  # nor a start that moves by a smaller part of the time until then


@dataclass(frozen=True, slots=True)
class Blocked:
    """A job that must wait for GPUs."""

    job: QueuedJob
    rank: int
    seconds: float | None = None
    """In about how many seconds it will have its GPUs; None if no place was found."""
    freeing_on: str = ""
    """The host, or hosts, where jobs are being stopped for it."""


def estimate_waits(
    line: Sequence[Blocked], capacities: Sequence[HostCapacity], ranks: Ranks
) -> list[float | None]:
    """Estimate how many seconds each job of the line still waits: the jobs before it get their GPUs first.

    Future submissions are not known, so the estimate for long jobs is too early rather than too late.
    """
    gpus = sum(capacity.usable for capacity in capacities)
    freed: dict[tuple[object, ...], list[tuple[float, int]]] = {}
    waits: list[float | None] = []
    gpus_before, work_before = 0, 0.0
    for place, blocked in enumerate(line):
        gpus_before += blocked.job.gpus
        seconds = blocked.seconds
        if seconds is None and gpus:
            seconds = work_before / gpus
            if place < LOOKED_AT:
                job = blocked.job
                likes = (blocked.rank, job.gpu_model, job.host, job.memory_mib)
                if likes not in freed:
                    freed[likes] = _list_freed(capacities, job, blocked.rank, ranks)
                seconds = max(seconds, _when(freed[likes], gpus_before))
        waits.append(seconds if seconds is not None and isfinite(seconds) else None)
        work_before += blocked.job.gpus * _hold_seconds(blocked.job, ranks)
    return waits


def differs(job: Job, new: Waiting, *, now: datetime) -> bool:
    """Whether a job's reason has changed, or its start has moved by more than people care about."""
    before, after = job.estimated_start_at, new.estimated_start_at
    if job.reason != new.reason or (before is None) != (after is None):
        return True
    if before is None or after is None:
        return False
    moved = abs((after - before).total_seconds())
    return moved > max(LEAST_MOVE_SECONDS, LEAST_MOVE * (after - now).total_seconds())


def _hold_seconds(job: QueuedJob, ranks: Ranks) -> float:
    """About how long the job will keep its GPUs: until its end, or through the first band."""
    first = max(0.0, ranks.ends[0] - job.attained_gpu_seconds) / job.gpus if ranks.ends else inf
    guess = job.expected_seconds if job.expected_seconds is not None else ranks.settings.turn_seconds
    return min(guess, first) if first else guess


def _list_freed(
    capacities: Sequence[HostCapacity], job: QueuedJob, rank: int, ranks: Ranks
) -> list[tuple[float, int]]:
    """When how many suitable GPUs become available for a job of this rank, the soonest first."""
    there = [capacity for capacity in capacities if job.host in (None, capacity.host.name)]
    freed = [(STOP_SECONDS, count_suited(capacity.leaving, job)) for capacity in there]
    for capacity in there:
        for holder in capacity.holders:
            seconds = min(yields_in_seconds(holder, rank, ranks), expected_end_seconds(holder))
            freed.append((seconds, count_suited(holder.frees, job)))
    return sorted(freed)


def _when(freed: Sequence[tuple[float, int]], gpus: int) -> float:
    """When enough GPUs are available, or when the last known ones are."""
    last = inf
    for seconds, count in freed:
        if not isfinite(seconds):
            break
        last = seconds
        gpus -= count
        if gpus <= 0:
            break
    return last
