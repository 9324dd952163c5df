"""cnnctl status: the jobs, or one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, get_args

import click
from rich.console import Group
from rich.live import Live

from cnnctl.client import Client
from cnnctl.paging import list_all_jobs
from cnnctl.views.jobs import JobSummary
from cnnctl.views.requests import JobQuery, JobSort
from service.cli.display.job_page import job_page
from service.cli.display.job_table import job_table
from service.cli.param_types import Moment
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, say
from service.domain.bounds import check_option
from service.domain.states import JobState

REFRESH_SECONDS = 1.0
SHOWN_JOBS = 30
AT_ONCE = 1000


@click.command("status")
@click.argument("job", type=int, required=False)
@click.option("--mine", is_flag=True, help="Only your own jobs.")
@click.option("--owner", help="Only this person's jobs.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    multiple=True,
    help="Only jobs in this state; may be repeated.",
)
@click.option("--project", help="Only jobs that are counted under this project.")
@click.option("--tag", multiple=True, help="Only jobs with this tag; may be repeated.")
@click.option("--network", help="Only jobs of this architecture.")
@click.option("--dataset", help="Only jobs on this dataset.")
@click.option("--since", type=Moment(ahead=False), help="Only jobs submitted since: 2026-11-01, or 7d ago.")
@click.option("--ended-since", type=Moment(ahead=False), help="Only jobs that ended since then.")
@click.option("--text", default="", help="Only jobs with this in their name or note.")
@click.option("--like", type=int, metavar="JOB", help="Only jobs that were made like this one.")
@click.option("--sort", type=click.Choice(get_args(JobSort)), default="newest", help="In which order.")
@click.option("--limit", type=int, help=f"The first so many.  [default: {SHOWN_JOBS}; with --json all]")
@click.option("--all", "show_all", is_flag=True, help="All of them.")
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    job: int | None,
    mine: bool,
    limit: int | None,
    show_all: bool,
    watch: bool,
    as_json: bool,
    since: datetime | None,
    sort: JobSort,
    **asked: Any,
) -> None:
    """Show the jobs, or everything about one."""
    check_option("--limit", limit)
    client = open_client()
    query = _make_query(client, asked, mine=mine, since=since)
    most = None if show_all else limit
    if as_json:
        print_json(_list_jobs(client, query, most, sort) if job is None else client.get_job(job))
        return
    most = None if show_all else limit or SHOWN_JOBS
    if not watch:
        make_console().print(draw_page(client, job, most, query, sort))
        return
    with Live(draw_page(client, job, most, query, sort), console=make_console(), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(REFRESH_SECONDS)
                live.update(draw_page(client, job, most, query, sort), refresh=True)
        except KeyboardInterrupt:
            say("")


def draw_page(
    client: Client, job: int | None, limit: int | None, query: JobQuery, sort: JobSort = "newest"
) -> Group:
    """What the command prints: a job's page, or the table of at most `limit` jobs."""
    if job is not None:
        return job_page(client.get_job(job))
    return job_table(_list_jobs(client, query, limit, sort), client.get_health().notices)


def _make_query(client: Client, asked: Mapping[str, Any], *, mine: bool, since: datetime | None) -> JobQuery:
    query = JobQuery(**asked, since=since)
    return replace(query, owner=client.get_me().name) if mine else query


def _list_jobs(client: Client, query: JobQuery, limit: int | None, sort: JobSort) -> Sequence[JobSummary]:
    """The first jobs; None: all."""
    page = min(limit or AT_ONCE, AT_ONCE)
    return list(islice(list_all_jobs(client, query, page=page, sort=sort), limit))
