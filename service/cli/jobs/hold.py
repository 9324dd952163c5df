"""cnnctl hold: keep queued jobs from starting until they are resumed."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_client
from service.cli.terminal import echo


@click.command("hold")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Keep queued jobs from starting until they are resumed.

    A running job is left alone; `cnnctl pause` stops it.
    """
    client = open_client()

    def act(job: int) -> None:
        client.hold(job)
        echo(f"Job {job} is paused.")

    for_each_job(jobs, act)
