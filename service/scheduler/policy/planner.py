"""Decides which jobs start where and which jobs stop for them. Pure: the same input gives the same plan."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf, isfinite

from service.domain.moments import add_seconds
from service.scheduler.policy import wait_reasons
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.draft import Draft
from service.scheduler.policy.ordering import Ranks, order
from service.scheduler.policy.placement import list_capacities
from service.scheduler.policy.preemption import Holder, rank_holders
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import QueuedJob, Snapshot
from service.scheduler.policy.start_estimates import estimate_waits

DEFAULT = PolicySettings()


def plan(snapshot: Snapshot, now: datetime, *, settings: PolicySettings = DEFAULT) -> Plan:
    """Give the GPUs to the jobs from first to last, and preempt later jobs for earlier ones if that helps."""
    ranks = Ranks(settings, settings.band_ends())
    postponed = [why for job in snapshot.queued if (why := wait_reasons.find_postponement(job, now))]
    later = {waiting.job_id for waiting in postponed}
    ready = [job for job in snapshot.queued if job.id not in later]
    ordered = order(snapshot, ready, now, ranks)
    holders = rank_holders(snapshot.running, ordered.running, now, ranks)
    capacities = list_capacities(snapshot, holders)
    draft = Draft(snapshot, ranks, capacities)
    for rank, job in ordered.queued:
        draft.settle(job, rank)
    waits = estimate_waits(draft.line, capacities, ranks)
    return Plan(
        placements=draft.placements,
        preemptions=draft.preemptions,
        waiting=[
            *wait_reasons.explain_line(draft.line, waits, capacities, draft.count_free(), now),
            *draft.refused,
            *postponed,
        ],
        wake_at=_find_next_look(snapshot.queued, holders, now, ranks),
    )


def _find_next_look(
    queued: Sequence[QueuedJob], holders: Sequence[Holder], now: datetime, ranks: Ranks
) -> datetime | None:
    """When a running job may next be preempted, fall behind or reach its limit, or a waiting one start."""
    seconds = [holder.end_seconds for holder in holders]
    if queued:
        seconds += [(job.not_before - now).total_seconds() for job in queued if job.not_before]
        for holder in holders:
            attained = holder.job.attained_gpu_seconds
            seconds += [holder.safe_seconds, holder.turn_seconds]
            seconds += [(end - attained) / holder.job.gpus for end in ranks.ends if end > attained][:1]
    soonest = min((one for one in seconds if one > 0.0), default=inf)
    return add_seconds(now, soonest) + timedelta(microseconds=1) if isfinite(soonest) else None
