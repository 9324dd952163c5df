"""Supervises one member of an attempt over several hosts; the chief has a `Supervisor`."""

import errno
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from service.domain import run_folder as files
from service.domain.endings import Ending, TrainerReport
from service.domain.jobs import Attempt, Member
from service.domain.states import AttemptState, Cause, Outcome, StopRequest
from service.errors import DatabaseUnavailable, Fenced
from service.liveness import LivenessMonitor
from service.settings import Settings
from service.store.jobs import attempts, members
from service.store.jobs.endings import end_member_reported
from service.store.jobs.members import CHIEF
from service.store.transaction import Store
from workers.attempts.addresses import HeldPort
from workers.attempts.ingest import find_final_event
from workers.attempts.outages import retry_until_available
from workers.attempts.starter import Starter
from workers.attempts.supervisor import FOLLOW_SECONDS
from workers.attempts.trainer_process import CANCEL_GRACE_SECONDS, TrainerProcess
from workers.attempts.trainer_setup import (
    TrainerSetup,
    UnwritableFolder,
    end_of_removed,
    is_removed,
    make_run_folder,
    read_setup,
    refuse_newer,
)
from workers.gpus.outsiders import GpuUser
from workers.gpus.quarantine import quarantine_gpus
from workers.process_tree import ProcessTree

NOT_STARTED = Ending(outcome=Outcome.INTERRUPTED, reason="not started")
SILENT_AFTER = 2 / 3  # of the lease: the chief's attempt is lost only after the whole lease

log = structlog.get_logger()


class MemberSupervisor:
    """Supervises one claimed member in the calling thread; other threads renew it and set `closing`."""

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
        of_chief = files.run_folder(settings.runs_dir, attempt.job_id, attempt.number)
        name = files.member_name(member.rank)
        pid, started = member.trainer_pid, member.trainer_started
        # A trainer that an earlier worker started writes where that worker's settings said.
        began_in = str(Path(attempt.run_dir or of_chief) / name)
        tree = ProcessTree(pid=pid, started=started, run_dir=began_in).proven()
        self._trainer = TrainerProcess(of_chief / name, tree)
        lease = settings.lease_seconds
        self._liveness = LivenessMonitor(SILENT_AFTER * lease, pause_seconds=lease / 2)
        self._next_look = 0.0
        self._chief_ended: Outcome | None = None
        self._gone = False
        self.closing = threading.Event()

    @property
    def gpu_user(self) -> GpuUser:
        """Its trainer's process and GPUs, for the watch of the GPUs."""
        return self._trainer.gpu_user

    @property
    def is_given_up(self) -> bool:
        """Whether the attempt had ended at the last check."""
        return self._attempt.state is AttemptState.ENDED

    def run(self, starter: Starter) -> None:
        """Wait for the other hosts, start the trainer, supervise it, and record its end when it is gone."""
        setup = read_setup(self._store, self._attempt, host_name=self._member.host_name)
        self._trainer.take_gpus(setup.gpus)
        refusal = refuse_newer(setup.spec, host_name=self._member.host_name)
        not_started = refusal or self._try_start(starter, setup)
        if not_started:
            self._end(TrainerReport(without_trainer=not_started), {})
        else:
            self._see_to_end()

    def adopt(self) -> None:
        """As `run`, with the trainer that an earlier worker of this host started, if it still runs."""
        if self._member.trainer_pid is None and not self._trainer.folder.is_dir():
            self._end(TrainerReport(without_trainer=NOT_STARTED), {})
            return
        self.renew_lease()
        setup = read_setup(self._store, self._attempt, host_name=self._member.host_name)
        self._trainer.adopt_gpus(setup.gpus)
        self._see_to_end()

    def _see_to_end(self) -> None:
        failure = self._follow()
        quarantine = self._trainer.prove_free()
        report = TrainerReport(
            final_event=find_final_event(self._trainer.folder),
            exit_status=self._trainer.read_exit_status(),
            adopted=self._trainer.was_adopted,
            told_to_stop=self._is_wanted_to_stop(),
            failure=failure,
        )
        self._end(report, quarantine)

    def _follow(self) -> Ending | None:
        """Watch the trainer until it is gone; return how the member ends, unless the trainer reports that."""
        try:
            while self._trainer.is_followed():
                self._look()
                self._apply_stop_request()
                if is_removed(self._trainer.folder):
                    self._trainer.kill()
                    return end_of_removed(self._trainer.folder)
                time.sleep(FOLLOW_SECONDS)
        except Exception:
            log.exception("member", action="follow_failed", attempt=self._attempt.id)
            reason = "its worker could not follow it; see the worker's log"
            return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        if self._gone and self._chief_ended is None:
            reason = "the worker on the job's first host has sent no heartbeat"
            return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        return None

    def renew_lease(self) -> None:
        """Tell the trainer that its worker is alive."""
        self._trainer.renew_lease()

    def abandon(self) -> None:
        """Kill the trainer of a member that this worker has lost."""
        self._trainer.abandon(self._store)

    def _try_start(self, starter: Starter, setup: TrainerSetup) -> Ending | None:
        """Start the trainer; if it cannot or must not start, return how the member ends."""
        try:
            started = self._start(starter, setup)
        except UnwritableFolder as error:
            reason = (
                f"the run folder {self._trainer.folder} cannot be written: {error}. "
                "CNNCTL_RUNS_DIR must be one folder that all hosts share, at the same path"
            )
            return Ending(outcome=Outcome.FAILED, cause=Cause.ERROR, reason=reason)
        except OSError as error:
            reason = f"no trainer could be started: {error}"
            return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        return None if started else NOT_STARTED

    def _start(self, starter: Starter, setup: TrainerSetup) -> bool:
        """Start the trainer when all hosts are ready; False if the attempt ended before."""
        all_members = self._wait_for_hosts()
        if not all_members:
            return False
        if not self._trainer.folder.parent.is_dir():
            raise UnwritableFolder(errno.ENOENT, "the chief's run folder does not exist")
        cluster = tuple(member.address or "" for member in all_members)
        make_run_folder(
            self._trainer.folder,
            setup,
            self._settings,
            threads_per_gpu=self._threads_per_gpu,
            cluster=cluster,
            rank=self._member.rank,
        )
        self.renew_lease()
        self._release_port()
        self._trainer.start(starter)
        retry_until_available(self._record_trainer)
        return True

    def _wait_for_hosts(self) -> list[Member]:
        """Wait until each member has an address, and return the members; none if the attempt ends before."""
        while True:
            self._look()
            if self._gone or self._is_wanted_to_stop():
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
        values = {"trainer_pid": self._trainer.pid, "trainer_started": self._trainer.started}
        with self._store.transaction() as tx, suppress(Fenced):
            members.write(tx, self._member, **values)

    def _look(self) -> None:
        """Read the stop request, and whether the attempt and this member are still their workers'."""
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

    def _is_wanted_to_stop(self) -> bool:
        return bool(self._attempt.stop_request or self.closing.is_set() or self._chief_ended)

    def _apply_stop_request(self) -> None:
        """Ask the trainer to stop if there is a stop request; kill it after the grace time."""
        if self._gone or self._chief_ended in (Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED):
            self._trainer.kill()
            return
        if not self._is_wanted_to_stop():
            return
        brief = self._attempt.stop_request is StopRequest.CANCEL or self._chief_ended is not None
        grace = self._settings.grace_seconds
        self._trainer.stop(grace_seconds=min(grace, CANCEL_GRACE_SECONDS) if brief else grace)

    def _release_port(self) -> None:
        if self._port:
            self._port.release()

    def _end(self, report: TrainerReport, quarantine: Mapping[str, str]) -> None:
        retry_until_available(lambda: self._end_once(report, quarantine))
        self._release_port()
        log.info("member", action="ended", attempt=self._attempt.id, rank=self._member.rank)

    def _end_once(self, report: TrainerReport, quarantine: Mapping[str, str]) -> None:
        with self._store.transaction() as tx:
            quarantine_gpus(tx, quarantine)
            with suppress(Fenced):
                end_member_reported(tx, self._member, report)
