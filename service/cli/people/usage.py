"""cnnctl usage: GPU-hours, and which of them were wasted."""

from collections.abc import Sequence
from datetime import datetime

import click
from rich.table import Table

from cnnctl.views.people import UsageView
from service.cli.display.table import make_table
from service.cli.param_types import Moment
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, print_csv, say

WORDS = ("owner", "project", "outcome")
NUMBERS = ("attempts", "gpu_hours", "failed_hours", "redone_hours", "idle_hours", "wasted_hours")


@click.command("usage")
@click.option("--user", help="Count only this person's.")
@click.option("--since", type=Moment(ahead=False), help="Count from then on: 2026-11-01, or 7d ago.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(user: str | None, since: datetime | None, as_csv: bool, as_json: bool) -> None:
    """Count GPU-hours by person, project and outcome.

    Wasted are all hours of failed attempts, steps that were repeated after a loss, and idle time: before the
    first step, and while a trainer stops.
    """
    views = open_client().list_usage(owner=user, since=since)
    if as_json:
        print_json(views)
    elif as_csv:
        names = [*WORDS, *NUMBERS]
        print_csv(names, ([getattr(view, name) for name in names] for view in views))
    elif views:
        make_console().print(_table(views))
    else:
        say("No GPU was used in that time.")


def _table(views: Sequence[UsageView]) -> Table:
    words = [name.upper() for name in WORDS]
    numbers = [name.replace("_", " ").upper() for name in NUMBERS]
    table = make_table(*words, *numbers, right=numbers, whole=words)
    for view in views:
        table.add_row(*(getattr(view, name) for name in WORDS), *_numbers([view]))
    table.add_row("all", "", "", *_numbers(views), style="bold")
    return table


def _numbers(views: Sequence[UsageView]) -> list[str]:
    """The sums of some views."""
    attempts, *hours = (sum(getattr(view, name) for view in views) for name in NUMBERS)
    return [str(attempts), *(f"{one:.2f}" for one in hours)]
