"""Supervises one attempt: claims it, starts its trainer, watches it, ends it."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from service.domain import run_folder as files
from service.domain.endings import Ending, TrainerReport
from service.domain.jobs import Attempt, AttemptId, Member
from service.domain.people import worker_of
from service.domain.states import Cause, Outcome, StopRequest
from service.errors import DatabaseUnavailable, Fenced
from service.settings import Settings
from service.store.fleet import leases
from service.store.jobs import attempts, members
from service.store.jobs.endings import end_reported
from service.store.transaction import Store
from workers.attempts.ingest import Ingester
from workers.attempts.outages import PAUSE_SECONDS, retry_until_available
from workers.attempts.rendezvous import Rendezvous, RendezvousFailed
from workers.attempts.starter import Starter
from workers.attempts.trainer_process import CANCEL_GRACE_SECONDS, TrainerProcess
from workers.attempts.trainer_setup import (
    end_of_removed,
    is_removed,
    make_launch,
    make_run_folder,
    read_setup,
    refuse_newer,
)
from workers.gpus.memory import explain_still_there
from workers.gpus.outsiders import GpuUser
from workers.gpus.quarantine import quarantine_gpus
from workers.process_tree import ProcessTree, list_run_dirs

FOLLOW_SECONDS = 0.1
LOG_SECONDS = 2.0

log = structlog.get_logger()


class Supervisor:
    """Supervises one claimed attempt in its thread; other threads only set `stop_request` and `closing`."""

    def __init__(self, store: Store, settings: Settings, attempt: Attempt, *, threads_per_gpu: int) -> None:
        self._store = store
        self._settings = settings
        tree = _tree_of(attempt)
        attempt = self._at_home(attempt)
        self._threads_per_gpu = threads_per_gpu
        self._ingester = Ingester(store, attempt, actor=worker_of(attempt.host_name))
        self._trainer = TrainerProcess(Path(attempt.run_dir), tree)
        self._rendezvous: Rendezvous | None = None
        self._failure: Ending | None = None
        self._next_log = 0.0
        self.attempt = attempt
        self.stop_request: StopRequest | None = attempt.stop_request
        self.closing = threading.Event()

    @property
    def gpu_user(self) -> GpuUser:
        """Its trainer's process and GPUs, for the watch of the GPUs."""
        return self._trainer.gpu_user

    def _at_home(self, attempt: Attempt) -> Attempt:
        """The attempt with this worker's run folder for it, whatever the database says."""
        folder = files.run_folder(self._settings.runs_dir, attempt.job_id, attempt.number)
        return replace(attempt, run_dir=str(folder))

    def prepare(self) -> None:
        """Make the run folder; for several hosts, wait until all are ready.

        Raises:
            UnwritableFolder: it cannot be written.
            RendezvousFailed: a host does not come, the attempt is to end, or the job is of a newer cnnctl.
            Fenced: the attempt has ended meanwhile.
        """
        setup = read_setup(self._store, self.attempt, host_name=self.attempt.host_name)
        folder = Path(self.attempt.run_dir)
        self._find_rendezvous()
        if refusal := refuse_newer(setup.spec, host_name=self.attempt.host_name):
            raise RendezvousFailed(refusal)
        make_run_folder(folder, setup, self._settings, threads_per_gpu=self._threads_per_gpu)
        self.renew_lease()
        if self._rendezvous:
            retry_until_available(self._rendezvous.join_attempt)
            cluster = self._rendezvous.wait_for_hosts(
                stop_request=lambda: self.stop_request, closing=self.closing
            )
            threads = self._threads_per_gpu
            make_launch(setup, self._settings, threads_per_gpu=threads, cluster=cluster, rank=0).save(folder)
        self._trainer.take_gpus(setup.gpus)

    def start(self, starter: Starter) -> None:
        """Start the trainer.

        Raises:
            OSError: the host has no process or memory left for it.
        """
        self._trainer.start(starter)

    def adopt(self) -> None:
        """Take over the trainer that an earlier worker of this host started, if it still runs."""
        setup = read_setup(self._store, self.attempt, host_name=self.attempt.host_name)
        self._trainer.adopt_gpus(setup.gpus)
        self._find_rendezvous()
        self._ingester.read_final_event()

    def follow(self) -> None:
        """Copy events into SQL until the trainer has ended, then end the attempt."""
        try:
            while self._trainer.is_followed():
                self._ingest()
                self._watch_hosts()
                self._watch_folder()
                self._apply_stop_request()
                time.sleep(FOLLOW_SECONDS)
            self._finish()
        except Fenced:
            log.warning("attempt", action="fenced", attempt=self.attempt.id)
            self.abandon()
        except Exception:
            log.exception("attempt", action="follow_failed", attempt=self.attempt.id)
            reason = "its worker could not follow it; see the worker's log"
            self.end(Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason))

    def renew_lease(self) -> None:
        """Tell the trainer that its worker is alive."""
        self._trainer.renew_lease()

    def abandon(self) -> None:
        """Kill the trainer of an attempt that this worker has lost."""
        self._trainer.abandon(self._store)

    def end(self, ending: Ending) -> None:
        """End an attempt whose trainer could not be started or followed."""
        self._end(TrainerReport(without_trainer=ending), quarantine=self._trainer.prove_free())

    def _find_rendezvous(self) -> None:
        all_members = retry_until_available(self._list_members)
        if all_members:
            self._rendezvous = Rendezvous(self._store, self._settings, self.attempt, all_members)

    def _list_members(self) -> Sequence[Member]:
        with self._store.reading() as tx:
            return members.list_members(tx, self.attempt.id)

    def _ingest(self) -> None:
        try:
            self._record_trainer()
            self._ingester.ingest()
            if time.monotonic() >= self._next_log:
                self._next_log = time.monotonic() + LOG_SECONDS
                self._ingester.store_log_tail()
        except DatabaseUnavailable as error:
            log.warning("attempt", action="database_unavailable", attempt=self.attempt.id, error=str(error))
            time.sleep(PAUSE_SECONDS)
        except OSError as error:  # a disk that does not respond; `_watch_folder` notices a removed folder
            log.warning("attempt", action="run_folder_unreadable", attempt=self.attempt.id, error=str(error))
            time.sleep(PAUSE_SECONDS)

    def _record_trainer(self) -> None:
        if self.attempt.trainer_pid == self._trainer.pid:
            return
        values = {"trainer_pid": self._trainer.pid, "trainer_started": self._trainer.started}
        with self._store.transaction() as tx:
            attempts.write(tx, self.attempt, **values)
            self.attempt = self._at_home(attempts.get_attempt(tx, self.attempt.id))

    def _watch_hosts(self) -> None:
        """End the attempt when another member ends."""
        if self._rendezvous and not self._failure:
            self._failure = self._rendezvous.find_failure()
            if self._failure:
                self._trainer.kill()

    def _watch_folder(self) -> None:
        """End the attempt if its folder or event log was removed: its trainer can report nothing."""
        folder = Path(self.attempt.run_dir)
        lost = is_removed(folder) or self._ingester.has_lost_log()
        if self._trainer.pid is not None and not self._failure and lost:
            self._failure = end_of_removed(folder)
            self._trainer.kill()

    def _is_asked_by_another_host(self) -> bool:
        return self._rendezvous is not None and self._rendezvous.was_asked_to_stop()

    def _is_wanted_to_stop(self) -> bool:
        return bool(self.stop_request or self.closing.is_set() or self._is_asked_by_another_host())

    def _apply_stop_request(self) -> None:
        """Ask the trainer to stop if there is a stop request; kill it after the grace time.

        A trainer that has written its final event gets the same time to end.
        """
        wanted = self._is_wanted_to_stop()
        if not (wanted or self._ingester.ended):
            return
        grace = self._settings.grace_seconds
        if self.stop_request is StopRequest.CANCEL:
            grace = min(grace, CANCEL_GRACE_SECONDS)
        self._trainer.stop(grace_seconds=grace, ask=wanted)

    def _finish(self) -> None:
        self._watch_folder()
        quarantine = self._trainer.prove_free()
        exit_status = self._trainer.read_exit_status()
        retry_until_available(self._settle)
        report = TrainerReport(
            final_event=self._ingester.ended,
            exit_status=exit_status,
            adopted=self._trainer.was_adopted,
            told_to_stop=self._is_wanted_to_stop(),
            failure=self._failure,
        )
        self._end(report, quarantine=quarantine)

    def _settle(self) -> None:
        """Read the event log and the log to their ends."""
        while self._ingester.ingest():
            pass
        self._ingester.store_log_tail()

    def _end(self, report: TrainerReport, *, quarantine: Mapping[str, str]) -> None:
        if self._rendezvous:
            self._rendezvous.end_together(report)
        ending = retry_until_available(lambda: self._end_once(report, quarantine))
        if ending:
            said = {"outcome": ending.outcome.value, "reason": ending.reason}
            log.info("attempt", action="ended", attempt=self.attempt.id, **said)

    def _end_once(self, report: TrainerReport, quarantine: Mapping[str, str]) -> Ending | None:
        with self._store.transaction() as tx:
            quarantine_gpus(tx, quarantine)
            actor, retry_limit = worker_of(self.attempt.host_name), self._settings.retry_limit
            return end_reported(tx, self.attempt, report, actor=actor, retry_limit=retry_limit)


def claim(store: Store, settings: Settings, attempt_id: AttemptId, *, worker: str) -> Attempt | None:
    """Claim an attempt for this worker; None if there is nothing to do."""
    with store.transaction() as tx:
        return attempts.claim(
            tx, attempt_id, worker=worker, host_name=settings.host_name, runs_dir=str(settings.runs_dir)
        )


def kill_left_over(store: Store, host_name: str) -> None:
    """Kill processes of this host's ended attempts, before their GPUs go to other jobs.

    Processes show their run folders, so that only attempts which still have some are read.
    """
    busy = set().union(*list_run_dirs().values())
    with store.reading() as tx:
        ended = [
            (attempt, leases.list_leased_gpus(tx, attempt.id, host_name=host_name))
            for attempt in attempts.list_ended_in(tx, busy, host_name=host_name)
            if str(Path(attempt.run_dir).resolve()) in busy
        ]
    for attempt, gpus in ended:
        gone = _tree_of(attempt).kill()
        log.warning("attempt", action="left_over_killed", attempt=attempt.id, gone=gone)
        if not gone:
            with store.transaction() as tx:
                why = explain_still_there(_tree_of(attempt))
                quarantine_gpus(tx, {gpu.uuid: why for gpu in gpus})


def _tree_of(attempt: Attempt) -> ProcessTree:
    pid, started = attempt.trainer_pid, attempt.trainer_started
    return ProcessTree(pid=pid, started=started, run_dir=attempt.run_dir).proven()
