"""cnnctl retry: queue failed or cancelled jobs again."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_session
from service.cli.terminal import echo
from service.commands.jobs.control import retry
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId


@click.command("retry")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Queue failed or cancelled jobs again.

    Each continues from its newest valid checkpoint, or starts again where there is none.
    """
    _, store = open_session()
    actor = current_actor(store)

    def act(job: JobId) -> None:
        retry(store, job, actor=actor)
        echo(f"Job {job} is queued again.")

    for_each_job(jobs, act)
