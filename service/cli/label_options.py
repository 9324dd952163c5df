"""The options that say what a job is called and which job it is like, shared by `submit` and `run`."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

OPTIONS = [
    click.option("--like", type=int, metavar="JOB", help="Take what is not given from this job."),
    click.option("--name", "label", default="", help="What you call the job, in one line."),
    click.option("--tag", "tags", multiple=True, help="A word to find the job by; may be repeated."),
    click.option("--note", default="", help="What you want to remember of the job."),
]


def label_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options to a command, which gets them as `labels`: fields of a SubmissionRequest."""

    @wraps(command)
    def with_labels(**values: Any) -> Any:
        labels = {name: values.pop(name) for name in ("like", "tags", "note")}
        return command(labels={**labels, "name": values.pop("label")}, **values)

    for option in reversed(OPTIONS):
        with_labels = option(with_labels)
    return with_labels
