"""cnnctl pause: pause jobs until they are resumed."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_session
from service.cli.terminal import echo
from service.commands.jobs.control import pause
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId
from service.domain.states import JobState


@click.command("pause")
@click.argument("jobs", type=int, nargs=-1, required=True)
def command(jobs: tuple[int, ...]) -> None:
    """Pause jobs until they are resumed.

    A running job writes a checkpoint first and frees its GPUs; it loses no training.
    """
    _, store = open_session()
    actor = current_actor(store)

    def act(job: JobId) -> None:
        stopping = pause(store, job, actor=actor) is JobState.RUNNING
        echo(f"Job {job} is {'stopping, then paused' if stopping else 'paused'}.")

    for_each_job(jobs, act)
