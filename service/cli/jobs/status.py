"""cnnctl status: all jobs, or one."""

import time

import click
from rich.console import Group
from rich.live import Live

from service.cli.display.job_page import job_page
from service.cli.display.job_table import job_table
from service.cli.session import open_session, print_json
from service.cli.terminal import make_console, say
from service.commands.fleet.health import check_health
from service.commands.jobs.status import get_job_view, list_job_views
from service.domain.jobs import JobId
from service.settings import Settings
from service.store.transaction import Store

REFRESH_SECONDS = 1.0
SHOWN_JOBS = 30


@click.command("status")
@click.argument("job", type=int, required=False)
@click.option("--all", "show_all", is_flag=True, help=f"All jobs, not only the newest {SHOWN_JOBS}.")
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(job: int | None, show_all: bool, watch: bool, as_json: bool) -> None:
    """Show all jobs, or everything about one."""
    settings, store = open_session()
    if as_json:
        print_json(list_job_views(store) if job is None else get_job_view(store, JobId(job)))
        return
    limit = None if show_all else SHOWN_JOBS
    if not watch:
        make_console().print(draw_page(store, settings, job, limit))
        return
    with Live(draw_page(store, settings, job, limit), console=make_console(), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(REFRESH_SECONDS)
                live.update(draw_page(store, settings, job, limit), refresh=True)
        except KeyboardInterrupt:
            say("")


def draw_page(store: Store, settings: Settings, job: int | None, limit: int | None) -> Group:
    """What the command prints: a job's page, or the table of at most `limit` jobs."""
    if job is not None:
        return job_page(get_job_view(store, JobId(job)))
    return job_table(list_job_views(store, limit=limit), check_health(store, settings).notices)
