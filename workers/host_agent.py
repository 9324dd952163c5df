"""The service on this host: registers the host, sends its heartbeat, supervises its attempts."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timezone
from functools import partial

import structlog

from service.disk_reserve import NoSpace, check_free_space
from service.domain.endings import Ending
from service.domain.jobs import Attempt, AttemptId
from service.domain.states import AttemptState, Cause, Outcome, Standing
from service.errors import AlreadyRunning, DatabaseUnavailable, Fenced
from service.settings import Settings
from service.store.fleet import hosts, readings
from service.store.jobs import attempts, members
from service.store.transaction import Store, Transaction
from workers.attempts.member_claims import adopt_own_members, claim_own_member
from workers.attempts.member_supervisor import MemberSupervisor
from workers.attempts.outages import retry_until_available
from workers.attempts.rendezvous import RendezvousFailed
from workers.attempts.starter import Starter
from workers.attempts.supervisor import Supervisor, claim, kill_left_over
from workers.attempts.trainer_setup import UnwritableFolder
from workers.gpus.inventory import get_gpus
from workers.gpus.outsiders import GpuUser
from workers.gpus.watch import GpuWatch
from workers.train.process.failure_cause import is_disk_full

FIRST_READING_SECONDS = 5.0
# After the grace time: for killing trainers, waiting for their memory, and storing how they ended.
STOP_SECONDS = 15.0

log = structlog.get_logger()


class HostAgent:
    """A worker process; `worker` is its name, which is new at every start."""

    def __init__(
        self, store: Store, settings: Settings, starter: Starter, *, dead_workers: Collection[str] = ()
    ) -> None:
        self._store = store
        self._dead_workers = dead_workers
        self._settings = settings
        self._starter = starter
        self._supervisors: dict[AttemptId, Supervisor] = {}
        self._members: dict[AttemptId, MemberSupervisor] = {}
        self._abandoning: dict[Supervisor | MemberSupervisor, threading.Thread] = {}
        self._host_row = threading.Lock()  # so that no pending heartbeat undoes a leave
        self._ready = threading.Event()
        self._takes_messages = threading.Event()
        self._closing = threading.Event()
        self._stopped = threading.Event()
        self._disk_is_full = False
        self.replaced = ""
        with store.reading() as tx:
            had_real = hosts.had_real_gpus(tx, settings.host_name)
        self.gpus = get_gpus(settings, had_real=had_real)
        self.worker = uuid.uuid4().hex
        cores = os.cpu_count() or 1
        self._threads_per_gpu = max(1, cores // len(self.gpus))
        self._gpu_watch = GpuWatch(
            self.gpus, settings.devices_dir, self._list_gpu_users, threads_per_gpu=self._threads_per_gpu
        )

    def take_over(self) -> None:
        """Reserve the host, adopt the trainers that its earlier worker left, and start the heartbeat.

        Trainers of attempts that were given up are killed before the host registers for new work.

        Raises:
            AlreadyRunning: another worker has the host.
        """
        retry_until_available(self._reserve)
        with self._store.reading() as tx:
            left_behind = attempts.list_live_attempts(tx, host_name=self._settings.host_name)
        for attempt in left_behind:
            if attempt.state is not AttemptState.DISPATCHED:
                self._take_over(attempt)
        adopted = adopt_own_members(
            self._store, self._settings, worker=self.worker, threads_per_gpu=self._threads_per_gpu
        )
        self._members.update(adopted)
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        threading.Thread(target=self._watch_disk, daemon=True, name="disk").start()
        threading.Thread(target=self._renew_leases, daemon=True, name="leases").start()
        for attempt_id, member in adopted.items():
            self._adopt_member(attempt_id, member)
        kill_left_over(self._store, self._settings.host_name)
        # Only now: a trainer that was left over is no outsider.
        threading.Thread(target=self._watch_gpus, daemon=True, name="gpus").start()

    def register(self) -> None:
        """Get ready for work, or again: the next heartbeat registers the host and its GPUs.

        The outsiders should be known by then, but a driver that hangs delays this only briefly.
        """
        self._gpu_watch.has_read.wait(FIRST_READING_SECONDS)
        self._takes_messages.set()
        self._ready.set()

    def run_attempt(self, attempt_id: AttemptId) -> None:
        """Claim an attempt and supervise it to its end; a duplicate or late message has no effect."""
        self._takes_messages.set()
        if self._closing.is_set():
            return
        attempt = claim(self._store, self._settings, attempt_id, worker=self.worker)
        if attempt is None:
            self._run_member(attempt_id)
            return
        supervisor = self._supervise(attempt)
        try:
            self._start(supervisor)
        finally:
            self._supervisors.pop(attempt.id, None)

    def _run_member(self, attempt_id: AttemptId) -> None:
        """Claim this host's member of an attempt with another chief, and supervise it to its end."""
        member = claim_own_member(
            self._store, self._settings, attempt_id, worker=self.worker, threads_per_gpu=self._threads_per_gpu
        )
        if member is None:
            log.info("attempt", action="nothing_to_claim", attempt=attempt_id)
            return
        self._members[attempt_id] = member
        if self._closing.is_set():
            member.closing.set()
        self._follow_member(attempt_id, partial(member.run, self._starter))

    def _start(self, supervisor: Supervisor) -> None:
        attempt = supervisor.attempt
        try:
            supervisor.prepare()
            supervisor.start(self._starter)
        except Fenced:
            log.warning("attempt", action="fenced", attempt=attempt.id)
            supervisor.abandon()
        except RendezvousFailed as not_met:
            supervisor.end(not_met.ending)
        except UnwritableFolder as error:
            reason = (
                f"the run folder {attempt.run_dir} cannot be written: {error}. "
                f"Free space or correct CNNCTL_RUNS_DIR, then: cnnctl retry {attempt.job_id}"
            )
            cause = Cause.DISK_FULL if is_disk_full(error) else Cause.ERROR
            supervisor.end(Ending(outcome=Outcome.FAILED, cause=cause, reason=reason))
        except OSError as error:
            reason = f"no trainer could be started on {attempt.host_name}: {error}"
            supervisor.end(Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason))
        else:
            supervisor.follow()

    def close(self) -> None:
        """Refuse new work and ask every trainer to checkpoint and stop; their jobs are queued again."""
        if self._closing.is_set():
            return  # SIGTERM may come twice, even during this method
        self._closing.set()
        for supervisor in self._list_followed():
            supervisor.closing.set()
        self._change_host(hosts.withdraw)

    def stop(self) -> None:
        """Wait until all attempts have ended, then stop the heartbeat."""
        while self._supervisors or self._members:
            time.sleep(0.05)
        self._stopped.set()
        self._change_host(hosts.leave)

    def wait_until_late(self) -> Sequence[AttemptId]:
        """Wait until stopping takes too long, as without a database; return the attempts that are left."""
        self._closing.wait()
        time.sleep(self._settings.grace_seconds + STOP_SECONDS)
        return [*self._supervisors, *self._members]

    def _list_followed(self) -> Sequence[Supervisor | MemberSupervisor]:
        return [*self._supervisors.values(), *self._members.values()]

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
            return  # given up just now
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

    def _adopt_member(self, attempt_id: AttemptId, member: MemberSupervisor) -> None:
        log.info("member", action="adopted", attempt=attempt_id)
        following = threading.Thread(
            target=self._follow_member, args=(attempt_id, member.adopt), daemon=True, name="member"
        )
        following.start()
        if member.is_given_up:  # its GPUs may go to other jobs as soon as this host is registered
            following.join()

    def _follow_member(self, attempt_id: AttemptId, follow: Callable[[], None]) -> None:
        try:
            follow()
        finally:
            self._members.pop(attempt_id, None)

    def _renew_leases(self) -> None:
        """Renew the leases, in its own thread: waiting for the database must not make trainers stop."""
        while not self._stopped.wait(self._settings.heartbeat_seconds):
            for supervisor in self._list_followed():
                supervisor.renew_lease()

    def _watch_disk(self) -> None:
        """Check the free space, in its own thread: a network disk may hang."""
        percent = self._settings.disk_reserve_percent
        while True:
            try:
                check_free_space(self._settings.runs_dir, reserve_percent=percent)
                self._disk_is_full = False
            except NoSpace:
                self._disk_is_full = True
            except OSError as error:
                log.warning("worker", action="disk_unknown", error=str(error))
            if self._stopped.wait(self._settings.heartbeat_seconds):
                return

    def _watch_gpus(self) -> None:
        self._gpu_watch.run(self._stopped)

    def _list_gpu_users(self) -> Sequence[GpuUser]:
        return [supervisor.gpu_user for supervisor in self._list_followed()]

    def _beat(self) -> None:
        while not self._stopped.wait(self._settings.heartbeat_seconds):
            try:
                self._beat_once()
            except DatabaseUnavailable as error:
                log.warning("worker", action="heartbeat_failed", error=str(error))
            except AlreadyRunning as error:
                self._give_way(error)
            except Exception:
                # Without a heartbeat, all attempts of this host would be lost: continue after any error.
                log.exception("worker", action="heartbeat_failed")

    def _beat_once(self) -> None:
        """Renew attempts and members, then the host: it may get new work only when lost attempts are dead.

        This may wait only for the database.
        """
        lost, lost_members = dict(self._supervisors), dict(self._members)
        if lost or lost_members:
            with self._store.transaction(urgent=True) as tx:
                kept = attempts.heartbeat(tx, list(lost), worker=self.worker)
                kept_members = members.heartbeat(tx, list(lost_members), worker=self.worker)
            for attempt in kept:
                lost.pop(attempt.id).stop_request = attempt.stop_request
            for attempt_id in kept_members:
                del lost_members[attempt_id]
        for supervisor in lost.values():
            self._abandon(supervisor)
        for member in lost_members.values():
            self._abandon(member)
        if not any(thread.is_alive() for thread in self._abandoning.values()):
            self._beat_for_host()

    def _abandon(self, supervisor: Supervisor | MemberSupervisor) -> None:
        """Kill the trainer of a lost attempt or member, in its own thread: that may take long."""
        running = {other: thread for other, thread in self._abandoning.items() if thread.is_alive()}
        if supervisor not in running:
            running[supervisor] = threading.Thread(target=supervisor.abandon, daemon=True, name="abandon")
            running[supervisor].start()
        self._abandoning = running

    def _beat_for_host(self) -> None:
        with self._host_row, self._store.transaction(urgent=True) as tx:
            if self._stopped.is_set():
                return
            ahead = (datetime.now(timezone.utc) - tx.now).total_seconds()
            name = self._settings.host_name
            standing = hosts.heartbeat(tx, name, worker=self.worker, clock_ahead_seconds=ahead)
            if self._closing.is_set():
                return
            if standing is None:  # the row belongs to another worker, or is gone
                self._reserve_in(tx)
            if not self._ready.is_set():
                return
            if standing is Standing.UNANSWERING and not self._takes_messages.is_set():
                return  # no work until a message arrives or the broker reconnects
            self._takes_messages.clear()
            wanted = Standing.DISK_FULL if self._disk_is_full else Standing.REGISTERED
            if standing not in (Standing.REGISTERED, wanted):
                self._register(tx)
                standing = Standing.REGISTERED
            if standing is not wanted:
                hosts.set_disk_full(tx, name, worker=self.worker)
                log.warning("worker", action="disk_full", folder=str(self._settings.runs_dir))
            readings.set_readings(tx, self._gpu_watch.take())

    def _reserve(self) -> None:
        with self._store.transaction() as tx:
            self._reserve_in(tx)

    def _reserve_in(self, tx: Transaction) -> None:
        """Reserve the host's name.

        Raises:
            AlreadyRunning: another worker has it, and sent a heartbeat within the lease.
        """
        name, lease = self._settings.host_name, self._settings.lease_seconds
        alive = hosts.reserve_host(
            tx,
            name,
            worker=self.worker,
            cores=os.cpu_count() or 1,
            dead_workers=self._dead_workers,
            lease_seconds=lease,
        )
        if alive is not None:
            raise AlreadyRunning(
                f"A worker of host {name} is already running, on another machine or with another "
                f"CNNCTL_HOME: its last heartbeat was {alive:.1f} s ago. Each host needs its own "
                f"name: set CNNCTL_HOST. If that worker is dead, start this one again in {lease:g} s"
            )

    def _give_way(self, error: AlreadyRunning) -> None:
        """End this worker: another one has taken the host after a lease without this one's heartbeat."""
        if not self.replaced:
            self.replaced = str(error)
            log.error("worker", action="replaced", error=self.replaced)
            os.kill(os.getpid(), signal.SIGTERM)

    def _register(self, tx: Transaction) -> None:
        name, cores = self._settings.host_name, os.cpu_count() or 1
        hosts.register_host(tx, name, worker=self.worker, cores=cores, devices=self.gpus)
        log.info("worker", action="registered", host=name, gpus=len(self.gpus))

    def _change_host(self, change: Callable[..., None]) -> None:
        try:
            with self._host_row, self._store.transaction() as tx:
                change(tx, self._settings.host_name, worker=self.worker)
        except DatabaseUnavailable as error:
            log.warning("worker", action="leave_failed", error=str(error))
