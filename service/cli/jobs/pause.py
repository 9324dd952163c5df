"""cnnctl pause: pause jobs until they are resumed."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_client
from service.cli.terminal import echo
from service.domain.states import JobState


@click.command("pause")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Pause jobs until they are resumed.

    A running job writes a checkpoint first and frees its GPUs; it loses no training.
    """
    client = open_client()

    def act(job: int) -> None:
        stopping = client.pause(job).state == JobState.RUNNING.value
        echo(f"Job {job} is {'stopping, then paused' if stopping else 'paused'}.")

    for_each_job(jobs, act)
