"""A service of its own for a benchmark: scheduler and worker as processes, in a temporary folder."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.commands.jobs.submit import submit
from service.domain import run_folder as files
from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.store.jobs import attempts, jobs
from tests.stack import Stack

LONGEST_SECONDS = 300.0
POLL_SECONDS = 0.5  # seldom, so as to take nothing from the training


class ServiceStack:
    """Submits jobs as every client does, and waits for their ends."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._settings = stack.settings
        self._store = stack.store
        self._store.wait_until_ready()

    def submit(self, architecture: str, fields: Mapping[str, object], *, owner: str = "benchmark") -> JobId:
        return JobId(submit(self._store, self._settings, architecture, fields, owner=Actor(name=owner)).job)

    def run_folder(self, job_id: JobId) -> Path:
        """The folder of a job's only attempt."""
        (folder,) = (self._settings.runs_dir / str(job_id)).iterdir()
        return folder

    def finish(self, job_id: JobId) -> list[Any]:
        """Wait until a job with one attempt has succeeded; its events."""
        self.wait(job_id)
        return read_events(self.run_folder(job_id))

    def attempts(self, job_id: JobId) -> Sequence[Attempt]:
        """A job's attempts so far."""
        with self._store.reading() as tx:
            return attempts.list_attempts(tx, job_id)

    def wait(self, job_id: JobId) -> None:
        """Wait until a job has succeeded."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while (state := self._state(job_id)) != "succeeded":
            if state in ("failed", "cancelled") or time.monotonic() > deadline:
                raise RuntimeError(f"job {job_id} is {state}: {self._stack.logs()}")
            time.sleep(POLL_SECONDS)

    def _state(self, job_id: JobId) -> str:
        with self._store.reading() as tx:
            return jobs.get_job(tx, job_id).state.value


def read_events(run_folder: Path) -> list[Any]:
    """What a trainer has reported."""
    return [json.loads(line) for line in (run_folder / files.EVENTS_FILE).read_text().splitlines()]


@contextmanager
def running_service(**settings: str) -> Iterator[ServiceStack]:
    """Start a service on SQLite and message files; it is stopped and deleted at the end."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "home", CNNCTL_LOG_LEVEL="warning", **settings)
        try:
            stack.cnnctl("db", "upgrade")
            stack.start("scheduler")
            stack.start("worker")
            yield ServiceStack(stack)
        finally:
            stack.close()
