"""cnnctl priority: change how urgent jobs are."""

import click

from service.cli.each_job import for_each_job
from service.cli.session import open_client
from service.cli.terminal import echo
from service.domain.states import Priority


@click.command("priority")
@click.argument("jobs", type=int, nargs=-1, required=True)
@click.argument("priority", type=click.Choice([priority.value for priority in Priority]))
def command(jobs: tuple[int, ...], priority: str) -> None:
    """Change how urgent jobs are.

    Priority high needs a permission, which an administrator grants: `cnnctl users set NAME --high`.
    """
    client = open_client()

    def act(job: int) -> None:
        client.set_priority(job, priority)
        echo(f"Job {job} has priority {priority}.")

    for_each_job(jobs, act)
