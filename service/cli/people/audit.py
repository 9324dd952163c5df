"""cnnctl audit: who did what to jobs, GPUs, hosts, people and tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from cnnctl.views.access import AuditView
from service.cli.display.table import make_table
from service.cli.param_types import Moment
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, say
from service.domain.audit import format_change
from service.domain.states import Subject


@click.command("audit")
@click.option("--since", type=Moment(ahead=False), help="From then on: 2026-11-01, or 1d ago.")
@click.option("--user", "actor", help="Only what this person or process did.")
@click.option(
    "--about", type=click.Choice([one.value for one in Subject]), help="Only what was done to such."
)
@click.option("--limit", default=50, show_default=True, type=int, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(since: datetime | None, actor: str | None, about: str | None, limit: int, as_json: bool) -> None:
    """Show who did what, the newest first.

    To jobs, GPUs, hosts, people, tokens, hooks, datasets and garbage; also who made a link and came in by a
    browser.
    """
    views = open_client().list_audit(since=since, actor=actor, subject=about, limit=limit)
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        say("Nothing was done in that time.")


def _table(views: Sequence[AuditView]) -> Any:
    names = ("AT", "WHO", "BY", "WHAT", "ABOUT", "DETAIL")
    table = make_table(*names, whole=["AT", "WHO"], folded=["DETAIL"])
    for view in views:
        by = f"{view.via} {view.origin}".strip()
        change = format_change(view.before, view.after)
        detail = "; ".join(filter(None, [view.detail, change]))
        about = f"{view.subject} {view.name}"
        table.add_row(f"{view.at:%Y-%m-%d %H:%M:%S}", view.actor, by, view.action, about, detail)
    return table
