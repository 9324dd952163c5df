"""Runs the scheduler: a tick plans in one transaction, then sends one message for each placement."""

import os
import socket
import threading
import time
from collections.abc import Callable, Set
from functools import partial

import structlog

from service.dispatch.dispatcher import Dispatcher
from service.dispatch.file_watch import FileWatch
from service.domain.jobs import JobId
from service.domain.people import SCHEDULER
from service.domain.states import Action, JobState, StopRequest
from service.errors import DatabaseUnavailable
from service.liveness import LivenessMonitor
from service.scheduler import rescue
from service.scheduler.decayed_usage import DecayedUsage
from service.scheduler.faulty_jobs import FaultyJobs, describe, plan_without_faulty
from service.scheduler.newer_jobs import NewerJobs
from service.scheduler.policy.decisions import Placement
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.start_estimates import differs
from service.scheduler.runtime_forecasts import RuntimeForecasts
from service.scheduler.snapshot import take_snapshot
from service.scheduler.study_progress import advance_studies
from service.settings import Settings
from service.store.fleet import hosts, leases, schedulers
from service.store.jobs import attempts, jobs, members, stop_requests
from service.store.people import audit, outbox, request_keys
from service.store.people.audit_watch import AuditWatch
from service.store.transaction import Store, Transaction

HOUSEKEEPING_SECONDS = 1.0
IDLE_SECONDS = 3.0  # the same while no job waits or runs
LONGEST_TURN_SECONDS = 4.0  # between two ticks without an error
PROBE_SECONDS = 5.0
OUTAGE_PAUSE_SECONDS = 2.0
FORGET_SECONDS = 3600.0  # between two times that old keys of requests are deleted
ASK_SECONDS = 30.0  # between two messages to a host that takes no messages

log = structlog.get_logger()


class Scheduler:
    """Places queued jobs, resends unclaimed attempts and ends lost attempts, until told to stop."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        dispatcher: Dispatcher,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._watch = AuditWatch(store)
        self._settings = settings
        self._dispatcher = dispatcher
        self._seconds = seconds
        self._next_housekeeping = 0.0
        self._next_probe = 0.0
        self._next_asking = 0.0
        self._next_forgetting = 0.0
        self._seen_event = -1
        self._idle = False
        self._tick_seconds: float | None = None  # of the last tick
        self._folder: FileWatch | None = None
        pause = max(settings.lease_seconds / 2, LONGEST_TURN_SECONDS)
        self._workers = LivenessMonitor(settings.lease_seconds, pause_seconds=pause, clock=seconds)
        self._hosts = LivenessMonitor(settings.lease_seconds, pause_seconds=pause, clock=seconds)
        self._policy = PolicySettings(quantum_seconds=settings.quantum_seconds)
        self._used = DecayedUsage(half_life_seconds=self._policy.half_life_seconds, clock=seconds)
        self._forecasts = RuntimeForecasts(clock=seconds)
        self._newer = NewerJobs()
        self._messages = LivenessMonitor(settings.resend_seconds, clock=seconds)
        patience = rescue.UNANSWERED_SENDS * settings.resend_seconds
        self._unanswered = LivenessMonitor(patience, pause_seconds=pause, clock=seconds)

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set; a database that cannot be reached only delays."""
        log.info("scheduler", action="started", pid=os.getpid())
        self._folder = FileWatch(self._store.folder) if self._store.folder else None
        while not stop.is_set():
            try:
                self._turn()
                self._wait(stop, self._settings.tick_seconds)
            except DatabaseUnavailable as error:
                log.warning("scheduler", action="database_unavailable", error=str(error))
                stop.wait(OUTAGE_PAUSE_SECONDS)
            except Exception:
                # The decision is rolled back, or its messages are not sent yet. No job may end the
                # scheduler for everybody.
                log.exception("scheduler", action="tick_failed")
                stop.wait(OUTAGE_PAUSE_SECONDS)
        self._watch.close()
        if self._folder:
            self._folder.close()
        log.info("scheduler", action="stopped")

    def _wait(self, stop: threading.Event, seconds: float) -> None:
        """Wait until the next check; PostgreSQL, or a change in SQLite's folder, may end the wait."""
        if not stop.is_set():
            (self._folder or self._watch).wait(seconds)

    def tick(self) -> None:
        """Rescue, resend and place jobs, in one transaction; does nothing while another scheduler ticks."""
        began = time.perf_counter()
        last, self._tick_seconds = self._tick_seconds, None
        with self._store.transaction() as tx:
            if not schedulers.lock_tick(tx):
                return
            alive = self._listen(tx)
            rescue.rescue_lost(tx, self._settings, self._workers)
            alive = rescue.resend_unclaimed(
                tx, self._settings, self._dispatcher, self._messages, self._unanswered, alive=alive
            )
            if self._seconds() >= self._next_asking:
                self._next_asking = self._seconds() + ASK_SECONDS
                rescue.ask_unanswering(tx, self._dispatcher)
            if self._seconds() >= self._next_forgetting:
                self._next_forgetting = self._seconds() + FORGET_SECONDS
                request_keys.forget_keys(tx, before=tx.now - request_keys.KEPT)
            queued = self._place(tx, alive)
            self._idle = not queued and not attempts.list_live_attempts(tx)
            name = f"{socket.gethostname()}:{os.getpid()}"
            schedulers.heartbeat(
                tx, name, pid=os.getpid(), broker_error=self._dispatcher.error, tick_seconds=last
            )
            self._seen_event = audit.newest_entry_id(tx)
        self._tick_seconds = time.perf_counter() - began

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_probe:
            self._next_probe = now + PROBE_SECONDS
            self._dispatcher.probe()
        if now >= self._next_housekeeping or self._something_happened():
            advance_studies(self._store)
            self.tick()
            self._next_housekeeping = now + (IDLE_SECONDS if self._idle else HOUSEKEEPING_SECONDS)

    def _something_happened(self) -> bool:
        return self._watch.newest_entry_id() != self._seen_event

    def _listen(self, tx: Transaction) -> Set[str]:
        """The hosts whose worker is alive."""
        heartbeats = {host.name: host.heartbeat_at for host in hosts.list_hosts(tx) if host.heartbeat_at}
        return heartbeats.keys() - self._hosts.list_silent(heartbeats, now=tx.now)

    def _place(self, tx: Transaction, alive: Set[str]) -> bool:
        """Start the jobs that can start; return whether any job was in the queue."""
        self._forecasts.learn(tx)
        queued = jobs.list_jobs_in(tx, JobState.QUEUED)
        if not queued:
            return False
        used = self._used.by_owner(tx)
        faulty = FaultyJobs()
        newer = self._newer.explain(tx, queued, faulty)
        known = [job for job in queued if job.id not in newer]
        snapshot = take_snapshot(tx, known, alive=alive, used=used, forecasts=self._forecasts, faulty=faulty)
        plan = plan_without_faulty(snapshot, tx.now, settings=self._policy, faulty=faulty)
        for job_id, error in faulty.errors.items():
            self._set_aside(tx, job_id, error)
        for placement in plan.placements:
            self._start(tx, placement)
        of_id = {job.id: job for job in queued}
        for stop in plan.preemptions:
            reason = f"preempted for job {stop.for_job_id} of {of_id[stop.for_job_id].owner}"
            stop_requests.request_preemption(tx, stop.job_id, reason=reason, actor=SCHEDULER)
        waiting = [*plan.waiting, *newer.values()]
        changed = [new for new in waiting if differs(of_id[new.job_id], new, now=tx.now)]
        jobs.set_waits(tx, changed)
        return True

    def _set_aside(self, tx: Transaction, job_id: JobId, error: Exception) -> None:
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
