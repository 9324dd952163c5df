"""cnnctl retry: queue failed or cancelled jobs again."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_client
from service.cli.terminal import echo


@click.command("retry")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Queue failed or cancelled jobs again.

    Each continues from its newest valid checkpoint, or starts again where there is none.
    """
    client = open_client()

    def act(job: int) -> None:
        client.retry(job)
        echo(f"Job {job} is queued again.")

    for_each_job(jobs, act)
