"""This host's part of the service: registers it, keeps its heartbeat, looks after its attempts."""

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import IO

import structlog

from service.domain.jobs import Attempt, AttemptId
from service.domain.states import AttemptState, Cause, Outcome
from service.errors import AlreadyRunning, DatabaseUnavailable, Fenced
from service.settings import Settings
from service.store.fleet import hosts, readings
from service.store.jobs import attempts, members
from service.store.transaction import Store, Transaction
from workers.attempts.ending import Ending
from workers.attempts.member_claims import adopt_parts, claim_part
from workers.attempts.member_supervisor import MemberSupervisor
from workers.attempts.rendezvous import NotMet
from workers.attempts.starter import Starter
from workers.attempts.supervisor import Supervisor, claim, kill_left_over
from workers.attempts.trainer_setup import UnwritableFolder
from workers.gpus.inventory import find_gpus
from workers.gpus.outsiders import Trainer
from workers.gpus.watch import GpuWatch
from workers.train.process.failure_cause import is_disk_full

FIRST_READING_SECONDS = 5.0

log = structlog.get_logger()


def lock_host(settings: Settings) -> IO[str]:
    """Make sure that this is the host's only worker: a second one would take the first one's trainers over.

    Raises:
        AlreadyRunning: there is one already.
    """
    settings.home_dir.mkdir(parents=True, exist_ok=True)
    lock = (settings.home_dir / f"worker-{settings.host_name}.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise AlreadyRunning(
            f"A worker of host {settings.host_name} is already running: one serves all GPUs of a host; "
            "for another host set CNNCTL_HOST to its name"
        ) from None
    return lock


class HostAgent:
    """One worker process: `worker` is its name for this run, new at every start."""

    def __init__(self, store: Store, settings: Settings, starter: Starter) -> None:
        self._store = store
        self._settings = settings
        self._starter = starter
        self._supervisors: dict[AttemptId, Supervisor] = {}
        self._parts: dict[AttemptId, MemberSupervisor] = {}
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._stopped = threading.Event()
        self.gpus = find_gpus(settings)
        self.worker = uuid.uuid4().hex
        cores = os.cpu_count() or 1
        self._threads_per_gpu = max(1, cores // len(self.gpus))
        self._gpu_watch = GpuWatch(
            self.gpus, settings.devices_dir, self._list_trainers, threads_per_gpu=self._threads_per_gpu
        )

    def take_over(self) -> None:
        """Adopt the trainers that an earlier worker of this host left, and start the heartbeat.

        Those of attempts that were given up meanwhile are killed, before the host registers for new work.
        """
        with self._store.reading() as tx:
            left_behind = attempts.list_live_attempts(tx, host_name=self._settings.host_name)
        for attempt in left_behind:
            if attempt.state is not AttemptState.DISPATCHED:
                self._take_over(attempt)
        parts = adopt_parts(
            self._store, self._settings, worker=self.worker, threads_per_gpu=self._threads_per_gpu
        )
        self._parts.update(parts)
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        threading.Thread(target=self._renew_leases, daemon=True, name="leases").start()
        for attempt_id, part in parts.items():
            self._adopt_part(attempt_id, part)
        kill_left_over(self._store, self._settings.host_name)
        # Only now: a trainer that was left over is nobody from outside.
        threading.Thread(target=self._watch_gpus, daemon=True, name="gpus").start()

    def register(self) -> None:
        """Be ready for work: the next heartbeat makes host and GPUs known to the scheduler.

        By then it should be known who uses them from outside; a driver that hangs is not waited for long.
        """
        self._gpu_watch.has_read.wait(FIRST_READING_SECONDS)
        self._ready.set()

    def run_attempt(self, attempt_id: AttemptId) -> None:
        """Claim an attempt and follow it to its end; a message that came twice or late does nothing."""
        if self._closing.is_set():
            return
        attempt = claim(self._store, self._settings, attempt_id, worker=self.worker)
        if attempt is None:
            self._run_part(attempt_id)
            return
        supervisor = self._supervise(attempt)
        try:
            self._start(supervisor)
        finally:
            self._supervisors.pop(attempt.id, None)

    def _run_part(self, attempt_id: AttemptId) -> None:
        """Take this host's part of an attempt whose chief is another host, and follow it to its end."""
        part = claim_part(
            self._store, self._settings, attempt_id, worker=self.worker, threads_per_gpu=self._threads_per_gpu
        )
        if part is None:
            log.info("attempt", action="nothing_to_claim", attempt=attempt_id)
            return
        self._parts[attempt_id] = part
        if self._closing.is_set():
            part.closing.set()
        self._follow_part(attempt_id, partial(part.run, self._starter))

    def _start(self, supervisor: Supervisor) -> None:
        attempt = supervisor.attempt
        try:
            supervisor.prepare()
            supervisor.start(self._starter)
        except Fenced:
            log.warning("attempt", action="fenced", attempt=attempt.id)
            supervisor.abandon()
        except NotMet as not_met:
            supervisor.end(not_met.ending)
        except UnwritableFolder as error:
            reason = (
                f"the run folder {attempt.run_dir} cannot be written: {error}. "
                f"Free space or mend CNNCTL_RUNS_DIR, then: cnnctl retry {attempt.job_id}"
            )
            cause = Cause.DISK_FULL if is_disk_full(error) else Cause.ERROR
            supervisor.end(Ending(outcome=Outcome.FAILED, cause=cause, reason=reason))
        except OSError as error:
            reason = f"no trainer could be started on {attempt.host_name}: {error}"
            supervisor.end(Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason))
        else:
            supervisor.follow()

    def close(self) -> None:
        """Take no more work and ask every trainer to checkpoint and stop; their jobs are queued again."""
        self._closing.set()
        self._leave()
        for supervisor in self._list_followed():
            supervisor.closing.set()

    def stop(self) -> None:
        """Wait until all attempts have ended, then stop the heartbeat."""
        while self._supervisors or self._parts:
            time.sleep(0.05)
        self._stopped.set()
        self._leave()  # once more: a heartbeat may have been on its way at the first time

    def _list_followed(self) -> Sequence[Supervisor | MemberSupervisor]:
        return [*self._supervisors.values(), *self._parts.values()]

    def _supervise(self, attempt: Attempt) -> Supervisor:
        supervisor = Supervisor(self._store, self._settings, attempt, threads_per_gpu=self._threads_per_gpu)
        self._supervisors[attempt.id] = supervisor
        if self._closing.is_set():
            supervisor.closing.set()
        return supervisor

    def _take_over(self, attempt: Attempt) -> None:
        try:
            with self._store.transaction() as tx:
                adopted = attempts.adopt(tx, attempt, worker=self.worker)
        except Fenced:
            return  # given up in this moment
        supervisor = self._supervise(adopted)
        threading.Thread(target=self._adopt, args=(supervisor,), daemon=True).start()

    def _adopt(self, supervisor: Supervisor) -> None:
        attempt = supervisor.attempt
        log.info("attempt", action="adopted", attempt=attempt.id, pid=attempt.trainer_pid)
        try:
            supervisor.adopt()
            supervisor.follow()
        finally:
            self._supervisors.pop(attempt.id, None)

    def _adopt_part(self, attempt_id: AttemptId, part: MemberSupervisor) -> None:
        log.info("part", action="adopted", attempt=attempt_id)
        following = threading.Thread(
            target=self._follow_part, args=(attempt_id, part.adopt), daemon=True, name="part"
        )
        following.start()
        if part.is_given_up:  # its GPUs may be given to others as soon as this host is registered
            following.join()

    def _follow_part(self, attempt_id: AttemptId, follow: Callable[[], None]) -> None:
        try:
            follow()
        finally:
            self._parts.pop(attempt_id, None)

    def _renew_leases(self) -> None:
        """In a thread of its own: waiting for the database must not make trainers stop."""
        while not self._stopped.wait(self._settings.heartbeat_seconds):
            for supervisor in self._list_followed():
                supervisor.renew_lease()

    def _watch_gpus(self) -> None:
        self._gpu_watch.run(self._stopped)

    def _list_trainers(self) -> Sequence[Trainer]:
        return [supervisor.trainer for supervisor in self._list_followed()]

    def _beat(self) -> None:
        while not self._stopped.wait(self._settings.heartbeat_seconds):
            try:
                self._beat_once()
            except DatabaseUnavailable as error:
                log.warning("worker", action="heartbeat_failed", error=str(error))
            except Exception:
                # Without a heartbeat, all attempts of this host would be given up: go on, whatever it was.
                log.exception("worker", action="heartbeat_failed")

    def _beat_once(self) -> None:
        """Renew attempts and parts, then the host: it may get new work only when lost attempts are dead."""
        followed, parts = dict(self._supervisors), dict(self._parts)
        if followed or parts:
            with self._store.transaction(urgent=True) as tx:
                renewed = attempts.heartbeat(tx, list(followed), worker=self.worker)
                own_parts = members.heartbeat(tx, list(parts), worker=self.worker) if parts else ()
            for attempt in renewed:
                followed.pop(attempt.id).wish = attempt.wish
            for attempt_id in own_parts:
                del parts[attempt_id]
        lost: Sequence[Supervisor | MemberSupervisor] = [*followed.values(), *parts.values()]
        for supervisor in lost:
            supervisor.abandon()
        if self._ready.is_set() and not self._closing.is_set():
            with self._store.transaction(urgent=True) as tx:
                ahead = (datetime.now(timezone.utc) - tx.now).total_seconds()
                name = self._settings.host_name
                if not hosts.heartbeat(tx, name, worker=self.worker, clock_ahead_seconds=ahead):
                    self._register(tx)
                readings.set_readings(tx, self._gpu_watch.take())

    def _register(self, tx: Transaction) -> None:
        name, cores = self._settings.host_name, os.cpu_count() or 1
        hosts.register_host(tx, name, worker=self.worker, cores=cores, devices=self.gpus)
        log.info("worker", action="registered", host=name, gpus=len(self.gpus))

    def _leave(self) -> None:
        try:
            with self._store.transaction() as tx:
                hosts.leave(tx, self._settings.host_name, worker=self.worker)
        except DatabaseUnavailable as error:
            log.warning("worker", action="leave_failed", error=str(error))
