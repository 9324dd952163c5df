"""The options that say how a job is to be run, shared by `submit` and `run`; none is part of the spec."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from service.cli.param_types import Moment
from service.domain.jobs import JobId
from service.domain.scheduling_options import SchedulingOptions
from service.domain.states import Priority

OPTIONS = [
    click.option(
        "--priority",
        type=click.Choice([priority.value for priority in Priority]),
        default=Priority.NORMAL.value,
        help="How urgent it is; high needs the right to it.",
    ),
    click.option("--project", default="", help="What the GPU-hours are counted under in cnnctl usage."),
    click.option("--after", type=int, multiple=True, metavar="JOB", help="Wait until this job succeeded."),
    click.option(
        "--not-before", type=Moment(ahead=True), help="Wait until then: 2026-11-01T22:00, or 8h from now."
    ),
    click.option("--exclusive", is_flag=True, help="Keep other jobs off its host."),
    click.option("--gpu-model", help="Only on GPUs with this in their model's name, as in h200."),
    click.option("--host", "host_name", help="Only on this host."),
    click.option(
        "--hosts",
        type=int,
        default=1,
        help="Number of hosts to run on at once, each with the same share of the --gpus.",
    ),
]


def scheduling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options to a command, which gets them as `scheduling` and `after`."""

    @wraps(command)
    def with_scheduling(*, priority: str, after: tuple[int, ...], **values: Any) -> Any:
        asked = {name: values.pop(name) for name in ("project", "not_before", "exclusive")}
        places = {name: values.pop(name) for name in ("gpu_model", "host_name", "hosts")}
        scheduling = SchedulingOptions(priority=Priority(priority), **asked, **places)
        return command(scheduling=scheduling, after=[JobId(number) for number in after], **values)

    for option in reversed(OPTIONS):
        with_scheduling = option(with_scheduling)
    return with_scheduling
