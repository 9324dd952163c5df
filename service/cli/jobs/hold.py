"""cnnctl hold: keep queued jobs from starting until they are resumed."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_session
from service.cli.terminal import echo
from service.commands.jobs.control import hold
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId


@click.command("hold")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Keep queued jobs from starting until they are resumed.

    A running job is left alone; `cnnctl pause` stops it.
    """
    _, store = open_session()
    actor = current_actor(store)

    def act(job: JobId) -> None:
        hold(store, job, actor=actor)
        echo(f"Job {job} is paused.")

    for_each_job(jobs, act)
