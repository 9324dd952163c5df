"""cnnctl cancel: stop jobs for good."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_session
from service.cli.terminal import echo
from service.commands.jobs.control import cancel
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId
from service.domain.states import JobState


@click.command("cancel")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Stop jobs for good.

    A running job writes a checkpoint first, so that `cnnctl retry` can continue it.
    """
    _, store = open_session()
    actor = current_actor(store)

    def act(job: JobId) -> None:
        stopping = cancel(store, job, actor=actor) is JobState.RUNNING
        echo(f"Job {job} is {'stopping' if stopping else 'cancelled'}.")

    for_each_job(jobs, act)
