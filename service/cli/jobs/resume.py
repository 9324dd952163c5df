"""cnnctl resume: queue paused jobs again."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_client
from service.cli.terminal import echo


@click.command("resume")
@click.argument("jobs", type=int, nargs=-1, required=True)
@click.option("--from-start", is_flag=True, help="Forget their checkpoints and begin again at step 0.")
def command(jobs: tuple[int, ...], from_start: bool) -> None:
    """Queue paused jobs again.

    Each continues from its newest valid checkpoint. The files of checkpoints that
    --from-start forgets stay in the run folders.
    """
    client = open_client()

    def act(job: int) -> None:
        client.resume(job, from_start=from_start)
        echo(f"Job {job} is queued again.")

    for_each_job(jobs, act)
