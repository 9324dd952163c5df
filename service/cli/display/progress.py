"""Follows a job to its end: a live bar on a terminal, a line an epoch elsewhere."""

import sys
import time
from collections.abc import Callable

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from service.cli.terminal import make_console, say
from service.commands.jobs.progress import JobProgress, get_progress
from service.domain.gpus import format_gpus
from service.domain.jobs import JobId
from service.domain.states import FINISHED, JobState
from service.store.transaction import Store

POLL_SECONDS = 0.2
WAITING = (JobState.QUEUED, JobState.PAUSED)


def follow_job(store: Store, job_id: JobId, *, check: Callable[[], object] = lambda: None) -> JobState:
    """Show the progress of a job until it has ended; `check` is called at every poll."""
    show = _Bar() if sys.stderr.isatty() else _Lines()
    with show:
        while True:
            job = get_progress(store, job_id)
            show.update(job)
            if job.state in FINISHED:
                return job.state
            check()
            time.sleep(POLL_SECONDS)


class _Bar:
    """One bar for the whole job, with its newest numbers."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=make_console(stderr=True),
        )
        self._task: TaskID = self._progress.add_task("queued", total=None, numbers="")

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, job: JobProgress) -> None:
        progress = job.progress
        if progress is None:
            waiting = job.reason if job.state in WAITING else job.stage or "starting"
            description = escape(waiting) if job.state not in FINISHED else ""
            self._progress.update(self._task, description=description)
            return
        validated = [value for value in job.epochs.get("val_accuracy", {}).values() if value is not None]
        last = f"  val acc {validated[-1]:.4f}" if validated else ""
        self._progress.update(
            self._task,
            description=f"epoch {progress.epoch}/{progress.epochs}",
            total=progress.epochs * progress.steps_per_epoch,
            completed=progress.step,
            numbers=f"step {progress.step}  {progress.images_per_second:,.0f} images/s  "
            f"loss {_format(progress.loss)}  acc {_format(progress.accuracy)}{last}",
        )


def _format(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"


class _Lines:
    """Plain lines for logs and pipes: each state once, each epoch once."""

    def __init__(self) -> None:
        self._said = ""
        self._steps: set[int] = set()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, job: JobProgress) -> None:
        line = f"{job.state.value}: {job.reason}" if job.reason else job.state.value
        if job.state is JobState.RUNNING:
            line = f"running on {format_gpus(job.gpus)} of {job.host}"
        if line != self._said and job.state not in FINISHED:
            say(line)
            self._said = line
        for number, step in enumerate(sorted(job.epochs.get("loss", {})), start=1):
            if step not in self._steps:
                self._steps.add(step)
                values = {n: job.epochs[n].get(step) for n in job.epochs}
                numbers = "  ".join(f"{n} {v:.4f}" for n, v in values.items() if v is not None)
                say(f"epoch {number}  step {step}  {numbers}")
