"""Follows a study to its end: a live bar on a terminal, a line for each step elsewhere."""

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cnnctl.client import Client
from cnnctl.views.studies import StudyView
from service.cli.session import format_seconds
from service.cli.terminal import make_console, say
from service.errors import CnnctlError

POLL_SECONDS = 0.5


class StudyHeld(CnnctlError):
    """Runs of a study have failed alike; see cnnctl study status, then: cnnctl study rerun STUDY"""


def follow_study(client: Client, study: int) -> None:
    """Show how far a study is until it has ended.

    Raises:
        StudyHeld: nothing of it starts any more until somebody runs it again.
    """
    with _bar() as bar:
        task, said = bar.add_task("runs", total=None), ""
        while True:
            view = client.get_study(study)
            bar.update(task, description=view.state, total=view.runs, completed=view.done + view.failed)
            if not sys.stderr.isatty() and (line := _line(view)) != said:
                said = line
                say(line)
            if view.state == "held":
                raise StudyHeld(f"Study {study} is held: {view.reason}. To go on: cnnctl study rerun {study}")
            if view.state != "running":
                return
            time.sleep(POLL_SECONDS)


def _line(view: StudyView) -> str:
    left = "" if view.seconds_left is None else f", {format_seconds(view.seconds_left)} left"
    return f"{view.state}: {view.done} of {view.runs} runs are done{left}"


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=make_console(stderr=True), disable=not sys.stderr.isatty())
