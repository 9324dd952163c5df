"""Decides which running jobs may be stopped for a waiting job, and when the others may be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

from service.domain.jobs import JobId
from service.scheduler.policy.ordering import Ranks
from service.scheduler.policy.situation import HostGpu, QueuedJob, RunningJob

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Holder:
    """A running job with its rank."""

    job: RunningJob
    rank: int
    safe_seconds: float
    """For how long no job of its class may preempt it."""
    end_seconds: float
    """In how many seconds it reaches its limit."""
    held_seconds: float
    """For how long it has held its GPUs."""
    turn_seconds: float
    """For how long it still counts as a job of the first band, because it had waited too long."""
    frees: list[HostGpu] = field(default_factory=list)
    """The usable GPUs that no other job can have while it runs."""


def rank_holders(
    running: Sequence[RunningJob], rank_of: Mapping[JobId, int], now: datetime, ranks: Ranks
) -> list[Holder]:
    """The running jobs that have not been told to stop; the first victim comes first."""
    holders = [_hold(job, rank_of[job.id], now, ranks) for job in running if not job.stopping]
    return sorted(holders, key=in_order_to_go)


def in_order_to_go(holder: Holder) -> tuple[int, float, JobId]:
    return -holder.rank, holder.held_seconds, holder.job.id


def _hold(job: RunningJob, rank: int, now: datetime, ranks: Ranks) -> Holder:
    settings = ranks.settings
    held = (now - job.started_at).total_seconds()
    safe = settings.quantum_seconds - held
    if len(job.preempted_at) >= settings.preemptions_per_hour:
        nth = job.preempted_at[-settings.preemptions_per_hour]
        safe = max(safe, (nth + HOUR - now).total_seconds())
    end = inf if job.limit_seconds is None else max(0.0, job.limit_seconds)
    return Holder(job, rank, max(0.0, safe), end, held, ranks.turn_left_seconds(job, now))


def yields_in_seconds(holder: Holder, rank: int, ranks: Ranks) -> float:
    """When a job of this rank can surely have the holder's GPUs: now, or when it falls behind or ends."""
    if not ranks.settings.preemption:
        return holder.end_seconds
    if ranks.inverse_class(holder.rank) > ranks.inverse_class(rank):
        return 0.0
    if holder.rank > rank:
        return min(holder.safe_seconds, holder.end_seconds)
    falls = _falls_behind_in_seconds(
        holder.job.attained_gpu_seconds, holder.job.gpus, holder.rank, rank, ranks
    )
    return min(max(falls, holder.turn_seconds, holder.safe_seconds), holder.end_seconds)


def newcomer_yields_in_seconds(job: QueuedJob, own: int, rank: int, ranks: Ranks) -> float:
    """As `yields_in_seconds`, for a job that would start now with the rank `own`."""
    end = inf if job.limit_seconds is None else job.limit_seconds
    if not ranks.settings.preemption:
        return end
    if ranks.inverse_class(own) > ranks.inverse_class(rank):
        return 0.0
    if own > rank:
        return min(end, ranks.settings.quantum_seconds)
    falls = _falls_behind_in_seconds(job.attained_gpu_seconds, job.gpus, own, rank, ranks)
    return min(end, max(falls, ranks.settings.quantum_seconds))


def _falls_behind_in_seconds(attained: float, gpus: int, own: int, rank: int, ranks: Ranks) -> float:
    """When a job surely leaves the first band, behind a job that stays in it; later bands promise nothing."""
    if ranks.group(own) != ranks.group(rank) or rank % ranks.settings.bands or not ranks.ends:
        return inf
    return max(0.0, ranks.ends[0] - attained) / gpus


def choose_victims(
    holders: Sequence[Holder], *, rank: int, gpus: int, suits: Callable[[HostGpu], bool], ranks: Ranks
) -> Sequence[Holder]:
    """The lowest-ranking jobs of one host that free enough suitable GPUs together; none if they cannot."""
    chosen: list[tuple[int, Holder]] = []
    freed = 0
    for holder in holders:
        if freed >= gpus:
            break
        if holder.rank > rank and yields_in_seconds(holder, rank, ranks) <= 0.0:
            count = sum(map(suits, holder.frees))
            chosen.append((count, holder))
            freed += count
    if freed < gpus:
        return ()
    needed = []
    for count, holder in reversed(chosen):
        if freed - count >= gpus:
            freed -= count
        else:
            needed.append(holder)
    return needed
