"""Looks after one attempt: claims it, starts its trainer, follows it, ends it."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, AttemptId
from service.domain.states import Outcome, Wish
from service.errors import DatabaseUnavailable, Fenced
from service.settings import Settings
from service.store import attempts, checkpoints, hosts, jobs, leases
from service.store.endings import end_attempt
from service.store.transaction import Store
from workers.ingest import Ingester
from workers.process_group import ProcessGroup, find_group
from workers.train import launch as files
from workers.train.launch import Launch
from workers.warm import Starter

FOLLOW_SECONDS = 0.1
LOG_SECONDS = 2.0
OUTAGE_PAUSE_SECONDS = 1.0
STILL_THERE = "a process of its last trainer is still there"

log = structlog.get_logger()


class Supervisor:
    """Follows one claimed attempt in the calling thread; other threads only set `wish` and `closing`."""

    def __init__(self, store: Store, settings: Settings, attempt: Attempt, *, threads_per_gpu: int) -> None:
        self._store = store
        self._settings = settings
        self._threads_per_gpu = threads_per_gpu
        self._ingester = Ingester(store, attempt, actor=f"worker {attempt.host_name}")
        self._group: ProcessGroup | None = None
        self._process: BaseProcess | None = None
        self._stop_by: float | None = None
        self._next_log = 0.0
        self.attempt = attempt
        self.wish: Wish | None = attempt.wish
        self.closing = threading.Event()

    def start(self, starter: Starter) -> None:
        """Make the run folder and start the trainer.

        Raises:
            OSError: the run folder cannot be written.
        """
        self._prepare_folder()
        self._process = starter.start(Path(self.attempt.run_dir))
        assert self._process.pid is not None
        self._group = find_group(self._process.pid)
        if self._group is None:
            return
        with self._store.transaction() as tx:
            attempts.write(tx, self.attempt, trainer_pid=self._group.pid, trainer_started=self._group.started)

    def adopt(self) -> None:
        """Take over the trainer that an earlier worker of this host started, if it still runs."""
        pid, started = self.attempt.trainer_pid, self.attempt.trainer_started
        if pid is not None and started is not None:
            self._group = ProcessGroup(pid=pid, started=started)
        self._ingester.find_last_word()

    def follow(self) -> None:
        """Carry events into SQL until the trainer has ended, then end the attempt."""
        try:
            while self._is_alive():
                self._take_in()
                self._obey()
                time.sleep(FOLLOW_SECONDS)
            self._finish()
        except Fenced:
            log.warning("attempt", action="fenced", attempt=self.attempt.id)
            self.kill()
        except Exception:
            log.exception("attempt", action="follow_failed", attempt=self.attempt.id)
            gone = "" if self.kill() else STILL_THERE
            self._end(Outcome.LOST, "its worker could not follow it; see the worker's log", quarantine=gone)

    def renew_lease(self) -> None:
        """Tell the trainer that its worker is alive."""
        with suppress(OSError):
            (Path(self.attempt.run_dir) / files.LEASE_FILE).touch()

    def kill(self) -> bool:
        """Kill the trainer's group; False when something of it is still there."""
        return self._group is None or self._group.kill()

    def fail(self, reason: str) -> None:
        """End an attempt that could not be started."""
        self._end(Outcome.FAILED, reason)

    def _prepare_folder(self) -> None:
        folder = Path(self.attempt.run_dir)
        _move_aside(folder)
        folder.mkdir(parents=True, exist_ok=True)
        spec, gpus, resume_from = self._read_orders()
        (folder / files.SPEC_FILE).write_text(spec)
        Launch(
            gpu_uuids=tuple(gpu.uuid for gpu in gpus),
            simulated=all(gpu.simulated for gpu in gpus),
            threads=self._threads_per_gpu * len(gpus),
            datasets_dir=str(self._settings.datasets_dir),
            resume_from=tuple(resume_from),
            # Sooner than the scheduler gives it up: it should have stopped when its job starts elsewhere.
            lease_seconds=self._settings.lease_seconds * 2 / 3,
        ).save(folder)
        self.renew_lease()

    def _read_orders(self) -> tuple[str, Sequence[Gpu], Sequence[str]]:
        """What to train, on which GPUs, and the checkpoints to continue from, newest first."""
        while True:
            try:
                with self._store.reading() as tx:
                    spec = jobs.get_job(tx, self.attempt.job_id).spec
                    gpus = leases.list_leased_gpus(tx, self.attempt.id)
                    known = checkpoints.list_checkpoints(tx, self.attempt.job_id)
                return spec, gpus, [checkpoint.path for checkpoint in known]
            except DatabaseUnavailable:
                time.sleep(OUTAGE_PAUSE_SECONDS)

    def _is_alive(self) -> bool:
        if self._process is not None:
            return self._process.is_alive()
        return self._group is not None and self._group.is_alive()

    def _take_in(self) -> None:
        try:
            self._record_trainer()
            self._ingester.take_in()
            if time.monotonic() >= self._next_log:
                self._next_log = time.monotonic() + LOG_SECONDS
                self._ingester.store_log_tail()
        except DatabaseUnavailable as error:
            log.warning("attempt", action="database_unavailable", attempt=self.attempt.id, error=str(error))
            time.sleep(OUTAGE_PAUSE_SECONDS)

    def _record_trainer(self) -> None:
        if self._group is None or self.attempt.trainer_pid == self._group.pid:
            return
        values = {"trainer_pid": self._group.pid, "trainer_started": self._group.started}
        with self._store.transaction() as tx:
            attempts.write(tx, self.attempt, **values)
            self.attempt = attempts.get_attempt(tx, self.attempt.id)

    def _obey(self) -> None:
        """Ask the trainer to stop when somebody wants that; kill it when it has not after the grace time."""
        if self._group is None or not (self.wish or self.closing.is_set()):
            return
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._settings.grace_seconds
            self._group.terminate()
        elif time.monotonic() > self._stop_by:
            log.warning("attempt", action="killed_after_grace", attempt=self.attempt.id)
            self.kill()

    def _finish(self) -> None:
        gone = self._group is None or self._group.kill()
        while not self._settled():
            time.sleep(OUTAGE_PAUSE_SECONDS)
        outcome, reason = self._judge()
        self._end(outcome, reason, quarantine="" if gone else STILL_THERE)

    def _settled(self) -> bool:
        """Read the event log and the log to their ends; False while the database is away."""
        try:
            while self._ingester.take_in():
                pass
            self._ingester.store_log_tail()
        except DatabaseUnavailable:
            return False
        return True

    def _judge(self) -> tuple[Outcome, str]:
        """The attempt's outcome: the trainer's last word, or what its end without one means."""
        last_word = self._ingester.ended
        if last_word is not None and last_word["outcome"] != "interrupted":
            return Outcome(last_word["outcome"]), str(last_word["reason"])
        if self.wish is Wish.CANCEL:
            return Outcome.CANCELLED, "cancelled while it ran"
        if last_word is not None or self.closing.is_set():
            how = last_word["reason"] if last_word else "killed after the grace time"
            return Outcome.INTERRUPTED, f"interrupted ({how}); waits to continue from its newest checkpoint"
        return Outcome.LOST, f"the trainer died without a last word ({self._exit_words()})"

    def _exit_words(self) -> str:
        code = self._process.exitcode if self._process is not None else None
        if code is None:
            return "its exit status is unknown"
        if code == -9:
            return "killed by signal 9; the kernel does that when memory runs out"
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"

    def _end(self, outcome: Outcome, reason: str, *, quarantine: str = "") -> None:
        while True:
            try:
                self._end_once(outcome, reason, quarantine)
                break
            except DatabaseUnavailable:
                time.sleep(OUTAGE_PAUSE_SECONDS)
        log.info("attempt", action="ended", attempt=self.attempt.id, outcome=outcome.value, reason=reason)

    def _end_once(self, outcome: Outcome, reason: str, quarantine: str) -> None:
        with self._store.transaction() as tx:
            if quarantine:
                for gpu in leases.list_leased_gpus(tx, self.attempt.id):
                    hosts.quarantine_gpu(tx, gpu.uuid, reason=quarantine)
            end_attempt(
                tx,
                self.attempt,
                outcome,
                reason=reason,
                actor=f"worker {self.attempt.host_name}",
                retry_limit=self._settings.retry_limit,
            )


def _move_aside(folder: Path) -> None:
    """Keep what lies in an attempt's folder out of it: a new database counts jobs from 1 again."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    aside = folder.with_name(f"{folder.name}.found-{time.time_ns()}")
    folder.rename(aside)
    log.warning("attempt", action="old_run_folder_moved", folder=str(folder), to=str(aside))


def claim(store: Store, settings: Settings, attempt_id: AttemptId, *, worker: str) -> Attempt | None:
    """Claim an attempt for this worker; None when there is nothing to do for it."""
    with store.transaction() as tx:
        return attempts.claim(
            tx, attempt_id, worker=worker, host_name=settings.host_name, runs_dir=str(settings.runs_dir)
        )
