"""cnnctl resume: let paused jobs go on."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_session
from service.cli.terminal import echo
from service.commands.jobs.control import resume
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId


@click.command("resume")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Let paused jobs go on.

    Each is queued again and continues from its newest valid checkpoint.
    """
    _, store = open_session()
    actor = current_actor(store)

    def act(job: JobId) -> None:
        resume(store, job, actor=actor)
        echo(f"Job {job} is queued again.")

    for_each_job(jobs, act)
