"""Starts the jobs that can start now, asks others to give way, and says why the rest waits."""

from collections.abc import Callable, Sequence, Set
from functools import partial

import structlog

from service.dispatch.dispatcher import Dispatcher
from service.domain.jobs import Job, JobId, Waiting
from service.domain.people import SCHEDULER
from service.domain.states import Action, JobState, StopRequest
from service.scheduler.decayed_usage import DecayedUsage
from service.scheduler.faulty_jobs import FaultyJobs, describe, plan_without_faulty
from service.scheduler.kept_entries import KeptEntries
from service.scheduler.newer_jobs import NewerJobs
from service.scheduler.policy.decisions import Placement, Plan
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.start_estimates import differs
from service.scheduler.remembered_jobs import RememberedJobs
from service.scheduler.runtime_forecasts import RuntimeForecasts
from service.scheduler.snapshot import take_snapshot
from service.settings import Settings
from service.store.fleet import leases
from service.store.jobs import attempts, jobs, members, stop_requests
from service.store.people import audit, outbox
from service.store.transaction import Transaction

log = structlog.get_logger()


class Placing:
    """Plans the queue of a tick and writes what is decided."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher, *, seconds: Callable[[], float]) -> None:
        self._dispatcher = dispatcher
        self._policy = PolicySettings(quantum_seconds=settings.quantum_seconds)
        self._used = DecayedUsage(half_life_seconds=self._policy.half_life_seconds, clock=seconds)
        self._forecasts = RuntimeForecasts(clock=seconds)
        self._newer = NewerJobs()
        self._jobs = RememberedJobs(clock=seconds)
        self._kept = KeptEntries()
        self._told: Sequence[Waiting] = ()  # in this turn

    def forget(self) -> None:
        """Read and decide everything anew at the next call."""
        self._jobs.forget()
        self._kept.forget_all()

    def place(self, tx: Transaction, alive: Set[str]) -> bool:
        """Start the jobs that can start; return whether any job was in the queue."""
        self._told = ()
        self._forecasts.learn(tx)
        changed, are_all_read = self._jobs.read(tx)
        if are_all_read:
            self._kept.forget_all()
        self._kept.forget(changed)
        queued = self._jobs.list_in(JobState.QUEUED)
        if queued:
            self._place(tx, queued, alive)
        return bool(queued)

    def end_turn(self, tx: Transaction) -> None:
        """Remember what this turn has written, once it is committed; the last thing that it does."""
        self._jobs.end_turn(tx, self._told)

    def _place(self, tx: Transaction, queued: Sequence[Job], alive: Set[str]) -> None:
        faulty = FaultyJobs()
        newer = self._newer.explain(tx, queued, faulty)
        plan = self._plan(tx, [job for job in queued if job.id not in newer], alive, faulty)
        for job_id, error in faulty.errors.items():
            _set_aside(tx, job_id, error)
        for placement in plan.placements:
            self._start(tx, placement)
        for stop in plan.preemptions:
            reason = f"preempted for job {stop.for_job_id} of {self._jobs.get(stop.for_job_id).owner}"
            stop_requests.request_preemption(tx, stop.job_id, reason=reason, actor=SCHEDULER)
        waiting = [*plan.waiting, *newer.values()]
        self._told = [new for new in waiting if differs(self._jobs.get(new.job_id), new, now=tx.now)]
        jobs.set_waits(tx, self._told)

    def _plan(self, tx: Transaction, queued: Sequence[Job], alive: Set[str], faulty: FaultyJobs) -> Plan:
        snapshot = take_snapshot(
            tx,
            queued,
            alive=alive,
            used=self._used.by_owner(tx),
            forecasts=self._forecasts,
            faulty=faulty,
            running=self._jobs.list_in(JobState.RUNNING),
            kept=self._kept,
        )
        return plan_without_faulty(snapshot, tx.now, settings=self._policy, faulty=faulty)

    def _start(self, tx: Transaction, placement: Placement) -> None:
        if not jobs.set_state_if(tx, placement.job_id, JobState.QUEUED, JobState.RUNNING, reason=""):
            return
        attempt = attempts.create_attempt(tx, placement.job_id, host_name=placement.host_name)
        leases.acquire(tx, attempt.id, placement.gpu_uuids)
        names = (placement.host_name, *placement.other_hosts)
        if placement.other_hosts:
            members.create_members(tx, attempt.id, names)
        detail = f"{', '.join(placement.gpu_uuids)} on {' and '.join(names)}"
        audit.add_entry(
            tx, placement.job_id, Action.DISPATCHED, actor=SCHEDULER, attempt_id=attempt.id, detail=detail
        )
        for name in names:
            tx.after_commit(partial(self._dispatcher.send, attempt, host_name=name))


def _set_aside(tx: Transaction, job_id: JobId, error: Exception) -> None:
    """Pause a job that cannot be planned, with the error as its reason, and notify its owner."""
    why = f"set aside because it cannot be planned ({describe(error)})"
    reason = f"{why}; cnnctl cancel {job_id}, then submit it with other numbers"
    attempt = attempts.find_live_attempt(tx, job_id)
    if attempt is not None:
        if (
            attempt.stop_request is None
        ):  # otherwise it already stops; each request adds an audit entry, which triggers a tick
            stop_requests.request_stop(tx, attempt, StopRequest.PAUSE, reason=reason, actor=SCHEDULER)
            job = jobs.get_job(tx, job_id)
            outbox.enqueue(tx, job, JobState.PAUSED, attempt_id=attempt.id, reason=reason)
        return
    if jobs.set_state_if(tx, job_id, JobState.QUEUED, JobState.PAUSED, reason=reason):
        log.error("scheduler", action="set_aside", job=job_id, error=describe(error))
        audit.add_entry(tx, job_id, Action.PAUSED, actor=SCHEDULER, detail=why)
        outbox.enqueue(tx, jobs.get_job(tx, job_id), JobState.PAUSED, attempt_id=None, reason=reason)
