"""Looks after one host's part of an attempt over several: all but the chief's."""

import errno
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from service.domain import run_folder as files
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, Member
from service.domain.states import AttemptState, Cause, Outcome, StopRequest
from service.errors import DatabaseUnavailable, Fenced
from service.liveness import LivenessMonitor
from service.process import find_start
from service.settings import Settings
from service.store.fleet import hosts
from service.store.jobs import attempts, members
from service.store.jobs.members import CHIEF
from service.store.transaction import Store
from workers.attempts.addresses import HeldPort
from workers.attempts.ending import Ending, infer_ending
from workers.attempts.ingest import find_final_event
from workers.attempts.outages import retry_until_available
from workers.attempts.starter import Starter
from workers.attempts.supervisor import CANCEL_GRACE_SECONDS, EXIT_STATUS_SECONDS, FOLLOW_SECONDS
from workers.attempts.trainer_setup import (
    TrainerSetup,
    UnwritableFolder,
    end_of_removed,
    is_removed,
    make_run_folder,
    read_setup,
    refuse_newer,
)
from workers.gpus.memory import Used, prove_free, read_used_mib
from workers.gpus.outsiders import Trainer
from workers.process_tree import KILL_SECONDS, ProcessTree

NOT_STARTED = Ending(outcome=Outcome.INTERRUPTED, reason="not started")
SILENT_AFTER = 2 / 3  # of the lease: the chief's attempt counts as lost only after all of it

log = structlog.get_logger()


class MemberSupervisor:
    """Follows one claimed part in the calling thread; other threads renew it and set `closing`."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        attempt: Attempt,
        member: Member,
        *,
        threads_per_gpu: int,
        port: HeldPort | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._attempt = attempt
        self._member = member
        self._port = port
        self._threads_per_gpu = threads_per_gpu
        self._folder = Path()
        self._gpus: Sequence[Gpu] = ()
        self._used_before: Used = {}
        self._tree = ProcessTree(pid=None, started=None, run_dir="")
        self._process: BaseProcess | None = None
        lease = settings.lease_seconds
        self._liveness = LivenessMonitor(SILENT_AFTER * lease, pause_seconds=lease / 2)
        self._next_look = 0.0
        self._asked_at: float | None = None
        self._takes_no_signal = False
        self._chief_ended: Outcome | None = None
        self._gone = False
        self.closing = threading.Event()

    @property
    def trainer(self) -> Trainer:
        """Its process and its GPUs, for who looks at the GPUs."""
        uuids = tuple(gpu.uuid for gpu in self._gpus)
        return Trainer(pid=self._tree.pid, run_dir=self._tree.run_dir, gpu_uuids=uuids)

    @property
    def is_given_up(self) -> bool:
        """Whether the attempt had ended when it was last looked at."""
        return self._attempt.state is AttemptState.ENDED

    def run(self, starter: Starter) -> None:
        """Wait for the others, start the trainer, follow it to its end, and say so when it is gone."""
        setup = self._read_setup()
        self._gpus, self._used_before = setup.gpus, read_used_mib(setup.gpus)
        refusal = refuse_newer(setup.spec, host_name=self._member.host_name)
        not_started = refusal or self._try_start(starter, setup)
        if not_started:
            self._end(not_started, {})
        else:
            self._see_to_end()

    def adopt(self) -> None:
        """The same with the trainer that an earlier worker of this host started, if it still runs."""
        self._enter_folder()
        if self._member.trainer_pid is None and not self._folder.is_dir():
            self._end(NOT_STARTED, {})
            return
        self._tree = replace(self._tree, pid=self._member.trainer_pid, started=self._member.trainer_started)
        self.renew_lease()
        self._gpus = self._read_setup().gpus
        self._see_to_end()

    def _read_setup(self) -> TrainerSetup:
        return retry_until_available(
            lambda: read_setup(self._store, self._attempt, host_name=self._member.host_name)
        )

    def _enter_folder(self) -> None:
        of_chief = files.run_folder(self._settings.runs_dir, self._attempt.job_id, self._attempt.number)
        self._folder = of_chief / files.member_name(self._member.rank)
        self._tree = replace(self._tree, run_dir=str(self._folder))

    def _see_to_end(self) -> None:
        ending = self._follow()
        seconds = 0.0 if self._takes_no_signal else KILL_SECONDS
        quarantine = prove_free(self._tree, self._gpus, self._used_before, kill_seconds=seconds)
        self._end(ending or self._judge(), quarantine)

    def _follow(self) -> Ending | None:
        """Watch the trainer until it is gone; how the part ends, where the trainer does not say."""
        try:
            while self._tree.is_alive() and not self._takes_no_signal:
                self._look()
                self._apply_stop_request()
                if is_removed(self._folder):
                    self._takes_no_signal = not self._tree.kill()
                    return end_of_removed(self._folder)
                time.sleep(FOLLOW_SECONDS)
        except Exception:
            log.exception("member", action="follow_failed", attempt=self._attempt.id)
            reason = "its worker could not follow it; see the worker's log"
            return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        if self._gone and self._chief_ended is None:
            reason = "the worker of the job's first host was not heard"
            return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        return None

    def renew_lease(self) -> None:
        """Tell the trainer that its worker is alive."""
        if self._tree.run_dir:
            with suppress(OSError):
                (self._folder / files.LEASE_FILE).touch()

    def abandon(self) -> None:
        """Kill the trainer of a part that is no longer ours; GPUs that do not come free get no job."""
        quarantine = prove_free(self._tree, self._gpus, self._used_before)
        if quarantine:
            retry_until_available(lambda: self._record_quarantine(quarantine))

    def _record_quarantine(self, quarantine: Mapping[str, str]) -> None:
        with self._store.transaction() as tx:
            hosts.quarantine_gpus(tx, quarantine)

    def _judge(self) -> Ending:
        if self._process is not None:
            self._process.join(timeout=EXIT_STATUS_SECONDS)
        stopped = self.closing.is_set() or self._chief_ended is not None
        final_event = find_final_event(self._folder)
        return infer_ending(
            final_event, self._process, stop_request=self._attempt.stop_request, closing=stopped
        )

    def _try_start(self, starter: Starter, setup: TrainerSetup) -> Ending | None:
        """Start the trainer; where that is not to be or cannot be, how the part ends."""
        try:
            started = self._start(starter, setup)
        except UnwritableFolder as error:
            reason = (
                f"the run folder {self._folder} cannot be written: {error}. "
                "CNNCTL_RUNS_DIR must be one folder that all hosts share, at the same path"
            )
            return Ending(outcome=Outcome.FAILED, cause=Cause.ERROR, reason=reason)
        except OSError as error:
            reason = f"no trainer could be started: {error}"
            return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        return None if started else NOT_STARTED

    def _start(self, starter: Starter, setup: TrainerSetup) -> bool:
        """Start the trainer when all hosts have come together; False when the attempt ended before."""
        all_members = self._wait_for_hosts()
        if not all_members:
            return False
        self._enter_folder()
        if not self._folder.parent.is_dir():
            raise UnwritableFolder(errno.ENOENT, "the chief's folder is not there")
        cluster = tuple(member.address or "" for member in all_members)
        make_run_folder(
            self._folder,
            setup,
            self._settings,
            threads_per_gpu=self._threads_per_gpu,
            cluster=cluster,
            rank=self._member.rank,
        )
        self.renew_lease()
        self._release_port()
        self._process = starter.start(self._folder)
        pid = self._process.pid
        assert pid is not None
        self._tree = replace(self._tree, pid=pid, started=find_start(pid))
        retry_until_available(self._record_trainer)
        return True

    def _wait_for_hosts(self) -> list[Member]:
        """The parts of all hosts, once each has its address; none when the attempt ends before."""
        while True:
            self._look()
            if self._gone or self._chief_ended or self.closing.is_set() or self._attempt.stop_request:
                return []
            all_members = retry_until_available(self._list_members)
            if all(member.address for member in all_members):
                return all_members
            time.sleep(FOLLOW_SECONDS)

    def _list_members(self) -> list[Member]:
        with self._store.reading() as tx:
            self._attempt = attempts.get_attempt(tx, self._attempt.id)
            return list(members.list_members(tx, self._attempt.id))

    def _record_trainer(self) -> None:
        values = {"trainer_pid": self._tree.pid, "trainer_started": self._tree.started}
        with self._store.transaction() as tx, suppress(Fenced):
            members.write(tx, self._member, **values)

    def _look(self) -> None:
        """See what is wanted, and whether the chief and this worker still have their parts."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + min(self._settings.heartbeat_seconds, 0.5)
        try:
            with self._store.reading() as tx:
                self._attempt = attempts.get_attempt(tx, self._attempt.id)
                all_members = members.list_members(tx, self._attempt.id)
        except DatabaseUnavailable as error:
            log.warning("member", action="database_unavailable", attempt=self._attempt.id, error=str(error))
            return
        chief, own = all_members[CHIEF], all_members[self._member.rank]
        alive = self._attempt.heartbeat_at or self._attempt.sent_at
        silent = self._liveness.list_silent({self._attempt.id: alive})
        taken = own.ended_at is not None or own.worker != self._member.worker
        self._chief_ended = chief.outcome
        self._gone = taken or self._attempt.state is AttemptState.ENDED or bool(silent)

    def _apply_stop_request(self) -> None:
        """Ask the trainer to stop when somebody wants that; kill it when it has not after the grace time."""
        if self._gone or self._chief_ended in (Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED):
            self._takes_no_signal = not self._tree.kill()
            return
        stop_request = self._attempt.stop_request
        if not (stop_request or self.closing.is_set() or self._chief_ended):
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._tree.terminate()
        brief = stop_request is StopRequest.CANCEL or self._chief_ended is not None
        grace = self._settings.grace_seconds
        if time.monotonic() > self._asked_at + (min(grace, CANCEL_GRACE_SECONDS) if brief else grace):
            log.warning("member", action="killed_after_grace", attempt=self._attempt.id)
            self._takes_no_signal = not self._tree.kill()

    def _release_port(self) -> None:
        if self._port:
            self._port.release()

    def _end(self, ending: Ending, quarantine: Mapping[str, str]) -> None:
        retry_until_available(lambda: self._end_once(ending, quarantine))
        self._release_port()
        said = {"outcome": ending.outcome.value, "reason": ending.reason}
        log.info("member", action="ended", attempt=self._attempt.id, rank=self._member.rank, **said)

    def _end_once(self, ending: Ending, quarantine: Mapping[str, str]) -> None:
        with self._store.transaction() as tx:
            hosts.quarantine_gpus(tx, quarantine)
            with suppress(Fenced):
                members.end_member(tx, self._member, ending.outcome, cause=ending.cause, reason=ending.reason)
