"""A live stack under attack: its processes, its servers where it has any, and the jobs given to it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import update

from cnnctl.http_client import HttpClient
from cnnctl.views.codec import to_json
from cnnctl.views.requests import SubmissionRequest
from service.commands.fleet.health import check_health
from service.commands.jobs.control import cancel, pause, resume, retry
from service.commands.jobs.status import get_job_view
from service.commands.jobs.submit import submit
from service.db.tables import jobs as jobs_table
from service.dispatch.dispatcher import Dispatcher
from service.domain.job_filter import JobFilter
from service.domain.jobs import Attempt, JobId
from service.domain.people import SCHEDULER, Actor
from service.domain.states import FINISHED, JobState
from service.errors import JobConflict, ServiceUnavailable
from service.store.jobs import attempts, jobs, metrics, stop_requests
from service.store.transaction import Transaction
from tests.servers import PostgresServer, RedisServer, wait_until
from tests.stack import ROOT, Stack

PROCESSES = ("scheduler", "worker", "api")
LEASE_SECONDS = 6.0  # a worker takes 1 to 3 s to come back while others use the cores
CHAOS = Actor(name="chaos", operator=True)  # the jobs are those of whom the kernel shows to the API
# What decides nothing about how a network is trained, and differs from run to run.
NOT_COMPARED = {"images_per_second", "checkpoint_stall_seconds"}

Series = Mapping[str, list[tuple[int, float | None]]]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A job that is submitted again and again, and what it must always come to."""

    architecture: str
    assignments: Mapping[str, object]


COMMON = {
    "data.dataset": "digits",
    "checkpoint.every_steps": 17,
    "training.early_stopping.patience_epochs": 0,
}
RECIPES: Sequence[Recipe] = (
    Recipe("lenet5", {**COMMON, "training.epochs": 12, "resources.gpus": 2, "model.dropout": "spatial:0.2"}),
    Recipe("lenet5", {**COMMON, "training.epochs": 12, "optimizer.name": "adam", "model.norm": "batch"}),
    Recipe(
        "mlp",
        {**COMMON, "training.epochs": 25, "schedule.name": "plateau", "model.dropout": "standard:0.3"},
    ),
)


class LiveStack:
    """Scheduler, worker and API as processes.

    Jobs are submitted through the API, all else is asked of SQL; both as long as it takes them to answer.
    """

    def __init__(self, home: Path, *, servers: bool, retry_limit: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.redis = RedisServer(home) if servers else None
        # Not in `home`: root's PostgreSQL runs as another user, who may not look into it.
        self._postgres_dir = Path(tempfile.mkdtemp(prefix="cnnctl-postgres-")) if servers else None
        self.postgres = PostgresServer(self._postgres_dir) if self._postgres_dir else None
        self.socket = home / "api.sock"
        self.clock = home / "clock"
        self.ballast = home / "runs" / "ballast"  # see `small_disk`
        settings = {
            "CNNCTL_LEASE_SECONDS": str(LEASE_SECONDS),
            "CNNCTL_HEARTBEAT_SECONDS": "0.5",
            "CNNCTL_RESEND_SECONDS": "1",
            "CNNCTL_GRACE_SECONDS": "5",
            "CNNCTL_RETRY_LIMIT": str(retry_limit),
            "CNNCTL_CHECKPOINT_SECONDS": "0.1",  # a job trains for a few seconds
            "CNNCTL_SOCKET": str(self.socket),
            "CNNCTL_API_ADDRESS": "none",
            **self._start_servers(),
        }
        self.stack = Stack(home, **settings)
        self.stack.environment |= {
            "CHAOS_CLOCK": str(self.clock),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'chaos' / 'clock'}",
        }
        self.settings = self.stack.settings
        self.store = self.stack.store
        self.store.upgrade(seconds=30)
        self.dispatcher = Dispatcher(self.settings)
        self.client = HttpClient.on_socket(self.socket)
        self.submitted: dict[JobId, Recipe] = {}
        self.old_attempts: list[Attempt] = []
        self.poisoned: list[JobId] = []
        self.deaf: list[socket.socket] = []  # clients of the API that do not read

    def _start_servers(self) -> Mapping[str, str]:
        if self.redis is None or self.postgres is None:
            return {}
        self.redis.start()
        self.postgres.start()
        return {"CNNCTL_DATABASE_URL": self.postgres.url, "CNNCTL_BROKER_URL": self.redis.url}

    def ask(self, read: Callable[[Transaction], Result], *, seconds: float = 60) -> Result:
        """Read from SQL; a database that is away is waited for."""
        return self.retry_until_available(lambda: self._read(read), seconds=seconds)

    def retry_until_available(self, act: Callable[[], Result], *, seconds: float = 60) -> Result:
        """Do something with SQL or the API, again and again while it is away."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return act()
            except ServiceUnavailable:
                assert time.monotonic() < deadline, self.stack.logs()
                time.sleep(0.1)

    def _read(self, read: Callable[[Transaction], Result]) -> Result:
        with self.store.reading() as tx:
            return read(tx)

    def submit(self, recipe: Recipe) -> JobId:
        name = uuid.uuid4().hex
        request = SubmissionRequest(architecture=recipe.architecture, fields=recipe.assignments, name=name)

        def submit_once() -> JobId:
            """The API was away for long: whether it has done it before, its name tells."""
            stored = self.ask(lambda tx: jobs.list_jobs(tx, filter=JobFilter(text=name)))
            return stored[0].id if stored else JobId(self.client.submit(request).job)

        number = self.retry_until_available(submit_once)
        self.submitted[number] = recipe
        return number

    def poison(self, spec: str) -> JobId:
        """Queue a job whose stored spec is not one, as a damaged row or another version's would be."""
        recipe = RECIPES[0]
        ask = partial(submit, self.store, self.settings, recipe.architecture, recipe.assignments)
        number = JobId(self.retry_until_available(lambda: ask(owner=CHAOS, hold=True)).job)

        def spoil() -> None:
            with self.store.transaction() as tx:
                tx.connection.execute(update(jobs_table).where(jobs_table.c.id == number).values(spec=spec))

        self.retry_until_available(spoil)
        self.retry_until_available(lambda: resume(self.store, number, actor=CHAOS))
        self.poisoned.append(number)
        return number

    def cancel_and_retry(self, number: JobId) -> None:
        """Cancel a job and, once it is cancelled, ask for it again; it may end before."""
        with suppress(JobConflict):
            self.retry_until_available(lambda: cancel(self.store, number, actor=CHAOS))
            self.wait(number)
        with suppress(JobConflict):
            self.retry_until_available(lambda: retry(self.store, number, actor=CHAOS))

    def retry_without_room(self) -> None:
        """Ask again for jobs that failed because the disk was full, as a person does who has freed some."""
        for number in list(self.submitted):
            if self.state(number) is JobState.FAILED and self.view(number)["cause"] == "disk_full":
                with suppress(JobConflict):
                    self.retry_until_available(partial(retry, self.store, number, actor=CHAOS))

    def pause_and_resume(self, number: JobId) -> None:
        """Pause a job and, once it rests, let it go on; it may end before."""
        with suppress(JobConflict):
            self.retry_until_available(lambda: pause(self.store, number, actor=CHAOS))
        wait_until(lambda: self.state(number) in (JobState.PAUSED, *FINISHED), seconds=120)
        with suppress(JobConflict):
            self.retry_until_available(lambda: resume(self.store, number, actor=CHAOS))

    def preempt(self, number: JobId) -> None:
        """Ask a job to give way, as the scheduler does for another."""

        def ask() -> bool:
            with self.store.transaction() as tx:
                return stop_requests.request_preemption(
                    tx, number, reason="preempted by chaos", actor=SCHEDULER
                )

        self.retry_until_available(ask)

    def state(self, number: JobId) -> JobState:
        return self.ask(lambda tx: jobs.get_job(tx, number).state)

    def live_attempts(self) -> Sequence[Attempt]:
        """Attempts that have not ended; they are remembered, for messages that come late."""
        found = self.ask(attempts.list_live_attempts)
        self.old_attempts += found
        return found

    def view(self, number: JobId) -> Mapping[str, Any]:
        return self.retry_until_available(lambda: to_json(get_job_view(self.store, number)))

    def series(self, number: JobId) -> Series:
        found = self.ask(lambda tx: metrics.list_series(tx, number))
        return {name: points for name, points in found.items() if name not in NOT_COMPARED}

    def wait(self, number: JobId, *, seconds: float = 120) -> JobState:
        """Wait for a job's end."""
        deadline = time.monotonic() + seconds
        while (state := self.state(number)) not in FINISHED:
            assert time.monotonic() < deadline, (
                f"job {number} is {state.value} after {seconds} s\n"
                f"{json.dumps(self.view(number), indent=1)}\n{self.stack.logs()}"
            )
            self.begin_again(number)
            time.sleep(0.1)
        return state

    def begin_again(self, number: JobId) -> None:
        """Let a job begin again that rests since all its checkpoints were damaged, as a person decides."""
        job = self.ask(lambda tx: jobs.get_job(tx, number))
        if job.state is JobState.PAUSED and "continue from any of its checkpoints" in job.reason:
            with suppress(JobConflict):
                self.retry_until_available(lambda: resume(self.store, number, actor=CHAOS, from_start=True))

    def restart(self, name: str) -> None:
        """Start a process that has been ended, or has given up."""
        process = self.stack.processes.get(name)
        if process is None or process.poll() is not None:
            self.stack.start(name)

    def heal(self) -> None:
        """Bring back everything that a fault may have left away."""
        self.clock.write_text("0")
        self.ballast.unlink(missing_ok=True)
        if self.redis is not None:
            self.redis.start()
        if self.postgres is not None and not self.postgres.is_running():
            self.postgres.start()
        for process in self.stack.processes.values():
            process.send_signal(signal.SIGCONT)
        for name in PROCESSES:
            self.restart(name)

    def close(self) -> None:
        for client in self.deaf:
            client.close()
        self.stack.close()
        if self.redis is not None:
            self.redis.stop()
        if self.postgres is not None and self._postgres_dir is not None:
            self.postgres.stop()
            shutil.rmtree(self._postgres_dir, ignore_errors=True)


@contextmanager
def small_disk(folder: Path, *, mib: int) -> Iterator[bool]:
    """Make a folder a disk of this size, where we may; whether it became one."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", str(folder)]
    mounted = subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def live_stack(home: Path, *, servers: bool, retry_limit: int = 100) -> Iterator[LiveStack]:
    """A stack that is ready for jobs, and gone at the end."""
    live = LiveStack(home, servers=servers, retry_limit=retry_limit)
    try:
        for name in PROCESSES:
            live.stack.start(name)
        wait_until(lambda: check_health(live.store, live.settings).up, seconds=60)
        yield live
    finally:
        live.heal()
        live.close()
