"""cnnctl cancel: stop jobs for good."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_client
from service.cli.terminal import echo
from service.domain.states import JobState


@click.command("cancel")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Stop jobs for good.

    A running job writes a checkpoint first, so that `cnnctl retry` can continue it.
    """
    client = open_client()

    def act(job: int) -> None:
        stopping = client.cancel(job).state == JobState.RUNNING.value
        echo(f"Job {job} is {'stopping' if stopping else 'cancelled'}.")

    for_each_job(jobs, act)
