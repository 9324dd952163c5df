"""Reads the input of the policy from SQL."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.domain.gpus import Gpu, Outsider, explain_unusable
from service.domain.jobs import Attempt, Job, JobId
from service.domain.states import Action, JobState
from service.scheduler.ample_memory import AmpleMemory
from service.scheduler.faulty_jobs import FaultyJobs
from service.scheduler.kept_entries import KeptEntries
from service.scheduler.policy.preemption import HOUR
from service.scheduler.policy.situation import Host, HostGpu, Owner, QueuedJob, RunningJob, Snapshot
from service.scheduler.runtime_forecasts import RuntimeForecasts
from service.scheduler.runtime_history import Forecast
from service.store.fleet import hosts, leases, readings
from service.store.fleet.leases import count_gpu_seconds
from service.store.jobs import attempts, dependencies, jobs, members
from service.store.people import audit, users
from service.store.transaction import Transaction


@dataclass(slots=True)
class Past:
    """The GPU use of an unfinished job so far."""

    gpu_seconds: float = 0.0
    given_back_at: datetime | None = None
    """When it last gave a GPU back."""
    held: list[str] = field(default_factory=list)
    """The GPUs that it holds now."""


def take_snapshot(
    tx: Transaction,
    queued: Sequence[Job],
    *,
    alive: Set[str],
    used: Mapping[str, float],
    forecasts: RuntimeForecasts,
    faulty: FaultyJobs,
    running: Sequence[Job] | None = None,
    kept: KeptEntries | None = None,
) -> Snapshot:
    """Read the hosts that are alive and the owners, and of jobs all but their rows; add these queued jobs.

    Without `running` the rows of running jobs are read, too. Entries of queued jobs that are `kept` are used.

    `used` holds the decayed GPU-seconds of each owner. A queued job that cannot be read is left out and noted
    in `faulty`. A running job always holds its GPUs, so only its forecast is left out.
    """
    pasts = _read_pasts(tx)
    latest = {attempt.job_id: attempt for attempt in attempts.list_latest_of(tx, jobs.UNFINISHED)}
    unmet = dependencies.list_unmet(tx)
    live = members.list_live_members(tx)
    preempted = audit.list_moments(tx, Action.PREEMPTED, since=tx.now - HOUR)

    def expect(job: Job) -> Forecast | None:
        held = pasts[job.id].gpu_seconds
        return forecasts.find(job, latest.get(job.id), held_gpu_seconds=held, now=tx.now)

    there = _hosts(tx, alive)
    ample = AmpleMemory(there)

    def prepare(job: Job) -> QueuedJob | None:
        return faulty.guard(
            job.id,
            lambda: ample.ask(
                _queued(job, pasts[job.id], expect(job), unmet.get(job.id, {})),
                ample_mib=job.ample_memory_mib,
            ),
        )

    def forecast(job: Job) -> Forecast | None:
        return faulty.guard(job.id, lambda: expect(job))

    entries = kept or KeptEntries()
    return Snapshot(
        queued=entries.list_entries(queued, unmet, prepare, hosts=there, learned=forecasts.learned),
        running=[
            replace(
                _running(job, latest[job.id], pasts[job.id], forecast(job), preempted.get(job.id, ())),
                limit_seconds=_limit(job, latest[job.id], now=tx.now),
                other_hosts=tuple(member.host_name for member in live.get(latest[job.id].id, ())[1:]),
            )
            for job in (jobs.list_jobs_in(tx, JobState.RUNNING) if running is None else running)
            if pasts[job.id].held and job.id in latest  # otherwise it has ended since its row was read
        ],
        hosts=there,
        owners=_owners(tx, used),
    )


def _owners(tx: Transaction, used: Mapping[str, float]) -> Mapping[str, Owner]:
    granted = {user.name: user for user in users.list_granted(tx)}
    return {
        name: Owner(
            weight=granted[name].weight if name in granted else 1.0,
            used_gpu_seconds=used.get(name, 0.0),
            quota_gpus=granted[name].max_gpus if name in granted else None,
        )
        for name in {*used, *granted}
    }


def _read_pasts(tx: Transaction) -> Mapping[JobId, Past]:
    pasts: dict[JobId, Past] = defaultdict(Past)
    for holding in leases.list_holdings(tx, states=jobs.UNFINISHED):
        past = pasts[holding.job_id]
        past.gpu_seconds += count_gpu_seconds(holding, now=tx.now)
        if holding.released_at is None:
            past.held.append(holding.gpu_uuid)
        elif past.given_back_at is None or holding.released_at > past.given_back_at:
            past.given_back_at = holding.released_at
    return pasts


def _hosts(tx: Transaction, alive: Set[str]) -> Sequence[Host]:
    found: dict[str, list[HostGpu]] = {name: [] for name in sorted(alive)}
    outsiders = readings.list_outsiders(tx)
    for gpu in hosts.list_gpus(tx):
        if gpu.host_name in found:
            found[gpu.host_name].append(_host_gpu(gpu, outsiders.get(gpu.uuid, ())))
    return [Host(name=name, gpus=tuple(gpus)) for name, gpus in found.items()]


def _host_gpu(gpu: Gpu, outsiders: Sequence[Outsider]) -> HostGpu:
    why = explain_unusable(gpu, outsiders)
    return HostGpu(
        uuid=gpu.uuid,
        model=gpu.model,
        memory_mib=0 if gpu.simulated else gpu.memory_mib,  # simulated GPUs share the host's memory
        usable=not why,
        mig=gpu.mig,
        why=why,
    )


def _queued(job: Job, past: Past, forecast: Forecast | None, unmet: Mapping[JobId, JobState]) -> QueuedJob:
    return QueuedJob(
        id=job.id,
        owner=job.owner,
        gpus=job.gpus,
        submitted_at=job.submitted_at,
        queued_at=past.given_back_at or job.submitted_at,
        priority=job.scheduling.priority,
        attained_gpu_seconds=past.gpu_seconds,
        expected_seconds=forecast.expected_seconds if forecast else None,
        gittins_seconds=forecast.gittins_seconds if forecast else None,
        limit_seconds=job.time_limit_seconds,
        unmet=unmet,
        not_before=job.scheduling.not_before,
        exclusive=job.scheduling.exclusive,
        gpu_model=job.scheduling.gpu_model,
        host=job.scheduling.host_name,
        hosts=job.scheduling.hosts,
        memory_mib=job.memory_mib or 0,
    )


def _running(
    job: Job, attempt: Attempt, past: Past, forecast: Forecast | None, preempted_at: Sequence[datetime]
) -> RunningJob:
    return RunningJob(
        id=job.id,
        owner=job.owner,
        host_name=attempt.host_name,
        gpu_uuids=tuple(past.held),
        submitted_at=job.submitted_at,
        queued_at=past.given_back_at or job.submitted_at,
        started_at=attempt.created_at,
        priority=job.scheduling.priority,
        attained_gpu_seconds=past.gpu_seconds,
        expected_seconds=forecast.expected_seconds if forecast else None,
        gittins_seconds=forecast.gittins_seconds if forecast else None,
        preempted_at=tuple(preempted_at),
        exclusive=job.scheduling.exclusive,
        stopping=attempt.stop_request is not None,
    )


def _limit(job: Job, live: Attempt, *, now: datetime) -> float | None:
    """How long the job may still run at most.

    Its trainer enforces the limit and counts training time only, over all attempts. The time of the earlier
    attempts is not known here, so the job may end sooner.
    """
    if job.time_limit_seconds is None or live.started_at is None:
        return job.time_limit_seconds
    return max(1.0, job.time_limit_seconds - (now - live.started_at).total_seconds())
