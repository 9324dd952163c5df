"""Which running jobs may be stopped for which waiting one, and when others could be."""

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
    """A running job with its rank.

    For `safe_seconds` its class may not stop it yet, in `end_seconds` it is at its limit, for
    `turn_seconds` it counts as one of the first band for its long wait; `frees` are the
    usable GPUs that nobody else can have while it runs.
    """

    job: RunningJob
    rank: int
    safe_seconds: float
    end_seconds: float
    held_seconds: float
    turn_seconds: float
    frees: list[HostGpu] = field(default_factory=list)


def rank_holders(
    running: Sequence[RunningJob], rank_of: Mapping[JobId, int], now: datetime, ranks: Ranks
) -> list[Holder]:
    """Those that run and have not been told to stop, the first to go first."""
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
    """When a job of this rank can surely have the GPUs: now, or when the holder falls behind or ends."""
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
    """The same for a job that would start now with the rank `own`."""
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
    """When a job surely leaves the first band, for one that stays in it; of later bands nothing is sure."""
    if ranks.group(own) != ranks.group(rank) or rank % ranks.settings.bands or not ranks.ends:
        return inf
    return max(0.0, ranks.ends[0] - attained) / gpus


def choose_victims(
    holders: Sequence[Holder], *, rank: int, gpus: int, suits: Callable[[HostGpu], bool], ranks: Ranks
) -> Sequence[Holder]:
    """Of one host's jobs the last ones that free so many suitable GPUs together; nobody where they cannot."""
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
