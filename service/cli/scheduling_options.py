"""The options that say how to run a job, shared by `submit` and `run`; none is part of the spec."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from service.cli.param_types import Moment
from service.domain.states import Priority

OPTIONS = [
    click.option(
        "--priority",
        type=click.Choice([priority.value for priority in Priority]),
        help="How urgent the job is; high needs a permission.",
    ),
    click.option("--project", help="Project under which cnnctl usage counts the GPU-hours."),
    click.option(
        "--after", type=int, multiple=True, metavar="JOB", help="Wait until this job has succeeded."
    ),
    click.option(
        "--not-before", type=Moment(ahead=True), help="Start no earlier: 2026-11-01T22:00, or 8h from now."
    ),
    click.option("--exclusive", is_flag=True, default=None, help="Keep other jobs off its host."),
    click.option("--gpu-model", help="Run only on GPUs whose model's name contains this, as in h200."),
    click.option("--host", "host_name", help="Run only on this host."),
    click.option(
        "--hosts",
        type=int,
        show_default="1",
        help="Number of hosts to run on at once, each with the same share of the --gpus.",
    ),
]


NAMES = ("priority", "project", "after", "not_before", "exclusive", "gpu_model", "host_name", "hosts")


def scheduling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options to a command, which gets them as `scheduling`: fields of a SubmissionRequest."""

    @wraps(command)
    def with_scheduling(**values: Any) -> Any:
        scheduling = {name: values.pop(name) for name in NAMES}
        scheduling["host"] = scheduling.pop("host_name")
        return command(scheduling=scheduling, **values)

    for option in reversed(OPTIONS):
        with_scheduling = option(with_scheduling)
    return with_scheduling
