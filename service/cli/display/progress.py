"""Follows a job to its end: a live bar on a terminal, a line an epoch elsewhere."""

import sys
import time
from collections.abc import Callable

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cnnctl.client import Client
from cnnctl.views.jobs import ProgressView
from service.cli.terminal import make_console, say
from service.domain.gpus import format_gpus
from service.domain.states import JobState

POLL_SECONDS = 0.2
WAITING = (JobState.QUEUED.value, JobState.PAUSED.value)


def follow_job(client: Client, number: int, *, check: Callable[[], object] = lambda: None) -> None:
    """Show the progress of a job until it has ended; `check` is called at every poll."""
    show = _Bar() if sys.stderr.isatty() else _Lines()
    with show:
        while True:
            job = client.get_progress(number)
            show.update(job)
            if job.finished:
                return
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

    def update(self, job: ProgressView) -> None:
        progress = job.progress
        if progress is None:
            waiting = job.reason if job.state in WAITING else job.stage or "starting"
            description = "" if job.finished else escape(waiting)
            self._progress.update(self._task, description=description)
            return
        validated = [value for _, value in job.epochs.get("val_accuracy", ()) if value is not None]
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

    def update(self, job: ProgressView) -> None:
        line = f"{job.state}: {job.reason}" if job.reason else job.state
        if job.state == JobState.RUNNING.value:
            line = f"running on {format_gpus(job.gpus)} of {job.host}"
        if line != self._said and not job.finished:
            say(line)
            self._said = line
        epochs = {name: dict(points) for name, points in job.epochs.items()}
        for number, step in enumerate(sorted(epochs.get("loss", {})), start=1):
            if step not in self._steps:
                self._steps.add(step)
                values = {name: points.get(step) for name, points in epochs.items()}
                numbers = "  ".join(f"{n} {v:.4f}" for n, v in values.items() if v is not None)
                say(f"epoch {number}  step {step}  {numbers}")
