"""cnnctl status: all jobs, or one."""

import time

import click
from rich.console import Group
from rich.live import Live

from cnnctl.client import Client
from service.cli.display.job_page import job_page
from service.cli.display.job_table import job_table
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, say

REFRESH_SECONDS = 1.0
SHOWN_JOBS = 30


@click.command("status")
@click.argument("job", type=int, required=False)
@click.option("--all", "show_all", is_flag=True, help=f"All jobs, not only the newest {SHOWN_JOBS}.")
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(job: int | None, show_all: bool, watch: bool, as_json: bool) -> None:
    """Show all jobs, or everything about one."""
    client = open_client()
    if as_json:
        print_json(client.list_jobs() if job is None else client.get_job(job))
        return
    limit = None if show_all else SHOWN_JOBS
    if not watch:
        make_console().print(draw_page(client, job, limit))
        return
    with Live(draw_page(client, job, limit), console=make_console(), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(REFRESH_SECONDS)
                live.update(draw_page(client, job, limit), refresh=True)
        except KeyboardInterrupt:
            say("")


def draw_page(client: Client, job: int | None, limit: int | None) -> Group:
    """What the command prints: a job's page, or the table of at most `limit` jobs."""
    if job is not None:
        return job_page(client.get_job(job))
    return job_table(client.list_jobs(limit=limit), client.get_health().notices)
