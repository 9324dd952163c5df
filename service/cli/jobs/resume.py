"""cnnctl resume: queue paused jobs again."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_session
from service.cli.terminal import echo
from service.commands.jobs.control import resume
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId


@click.command("resume")
@click.argument("jobs", type=int, nargs=-1, required=True)
@click.option("--from-start", is_flag=True, help="Forget their checkpoints and begin again at step 0.")
def command(jobs: tuple[int, ...], from_start: bool) -> None:
    """Queue paused jobs again.

    Each continues from its newest valid checkpoint. The files of checkpoints that
    --from-start forgets stay in the run folders.
    """
    _, store = open_session()
    actor = current_actor(store)

    def act(job: JobId) -> None:
        resume(store, job, actor=actor, from_start=from_start)
        echo(f"Job {job} is queued again.")

    for_each_job(jobs, act)
