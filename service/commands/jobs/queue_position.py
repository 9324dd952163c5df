"""Predicts when a job would start, without queueing it, with the policy of the scheduler."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from cnnctl.views.access import HealthView
from service.commands.jobs.job_memory import Needs
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec import Spec
from service.domain.states import JobState
from service.scheduler.ample_memory import AmpleMemory
from service.scheduler.decayed_usage import DecayedUsage
from service.scheduler.faulty_jobs import FaultyJobs, plan_without_faulty
from service.scheduler.newer_jobs import NewerJobs
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import QueuedJob
from service.scheduler.runtime_forecasts import RuntimeForecasts
from service.scheduler.snapshot import take_snapshot
from service.settings import Settings
from service.store.jobs import jobs
from service.store.transaction import Transaction

# The id of the imagined job: the largest, because the lower id wins a tie.
IMAGINED = JobId(jobs.LARGEST_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePosition:
    """When a job would start: now, at about a moment, or unknown; `queue_position` counts from 1."""

    starts_now: bool
    reason: str
    queue_position: int | None = None
    estimated_start_at: datetime | None = None


HELD = QueuePosition(starts_now=False, reason="on hold until somebody resumes it")


def get_queue_position(
    tx: Transaction,
    settings: Settings,
    spec: Spec,
    needs: Needs,
    *,
    owner: Actor,
    scheduling: SchedulingOptions,
    after: Collection[JobId],
    health: HealthView,
    forecasts: RuntimeForecasts,
) -> QueuePosition:
    """Plan the current queue with the job at its end, as the scheduler would."""
    if health.notices:
        return QueuePosition(starts_now=False, reason=health.notices[0])
    rules = PolicySettings(quantum_seconds=settings.quantum_seconds)
    used = DecayedUsage(half_life_seconds=rules.half_life_seconds, clock=monotonic).by_owner(tx)
    queued = jobs.list_jobs_in(tx, JobState.QUEUED)
    faulty = FaultyJobs()  # the scheduler sets them aside
    newer = NewerJobs().explain(tx, queued, faulty)
    known = [job for job in queued if job.id not in newer]
    snapshot = take_snapshot(
        tx, known, alive=set(health.hosts), used=used, forecasts=forecasts, faulty=faulty
    )
    imagined = _imagine(tx, spec, owner=owner, scheduling=scheduling, after=after, memory_mib=needs.least_mib)
    imagined = AmpleMemory(snapshot.hosts).ask(imagined, ample_mib=needs.ample_mib)
    with_it = replace(snapshot, queued=[*snapshot.queued, imagined])
    plan = plan_without_faulty(with_it, tx.now, settings=rules, faulty=faulty)
    for placement in plan.placements:
        if placement.job_id == IMAGINED:
            return QueuePosition(
                starts_now=True,
                reason=f"starts at once on {', '.join((placement.host_name, *placement.other_hosts))}",
            )
    for queue_position, waiting in enumerate(plan.waiting, start=1):
        if waiting.job_id == IMAGINED:
            moment = waiting.estimated_start_at
            stops = any(stop.for_job_id == IMAGINED for stop in plan.preemptions)
            return QueuePosition(
                starts_now=False,
                reason="starts as soon as jobs behind it have been stopped" if stops else waiting.reason,
                queue_position=queue_position if moment is not None else None,
                estimated_start_at=moment,
            )
    error = faulty.errors.get(IMAGINED)
    return QueuePosition(starts_now=False, reason=f"it cannot be planned: {error!r}" if error else "unknown")


def _imagine(
    tx: Transaction,
    spec: Spec,
    *,
    owner: Actor,
    scheduling: SchedulingOptions,
    after: Collection[JobId],
    memory_mib: int,
) -> QueuedJob:
    minutes = spec.resources.time_limit_minutes
    return QueuedJob(
        id=IMAGINED,
        owner=owner.name,
        gpus=spec.resources.gpus,
        submitted_at=tx.now,
        queued_at=tx.now,
        priority=scheduling.priority,
        limit_seconds=None if minutes is None else 60 * minutes,
        unmet={
            number: state
            for number, state in jobs.list_states(tx, after).items()
            if state is not JobState.SUCCEEDED
        },
        not_before=scheduling.not_before,
        exclusive=scheduling.exclusive,
        gpu_model=scheduling.gpu_model,
        host=scheduling.host_name,
        hosts=scheduling.hosts,
        memory_mib=memory_mib,
    )
