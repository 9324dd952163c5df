"""cnnctl users: shows and changes what people may have and do."""

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from cnnctl.views.people import UserView
from service.cli.display.job_table import age_of
from service.cli.display.table import make_table
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, say
from service.domain.people import MOST_QUEUED

NO_QUOTA = "none"


class Quota(click.ParamType):  # type: ignore[type-arg]
    """A whole number, or `none`."""

    name = "quota"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value)
        if text == NO_QUOTA:
            return text
        if not text.isdecimal():
            self.fail(f"{text!r} is neither a whole number nor none", param, ctx)
        return int(text)


@click.group("users", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show what people may have and do, or change it."""
    if ctx.invoked_subcommand is not None:
        return
    views = open_client().list_users()
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        say("Nobody has submitted a job yet.")


@command.command("set")
@click.argument("name")
@click.option("--weight", type=float, help="Their share of the GPUs, relative to others; 1 by default.")
@click.option("--max-gpus", type=Quota(), help="GPUs they may hold at once, or none for no quota.")
@click.option(
    "--max-queued",
    type=Quota(),
    help=f"Jobs they may have waiting ({MOST_QUEUED} by default), or none for no quota.",
)
@click.option("--high/--no-high", "may_use_high", default=None, help="The right to priority high.")
@click.option("--admin/--no-admin", "administrator", default=None, help="May change everybody's jobs.")
def set_user(name: str, **given: Any) -> None:
    """Change what a person may have and do; only administrators may.

    An option that is not given changes nothing.
    """
    changes = {key: value for key, value in given.items() if value is not None}
    changes = {key: None if value == NO_QUOTA else value for key, value in changes.items()}
    make_console().print(_table([open_client().change_user(name, changes)]))


def _table(views: Sequence[UserView]) -> Table:
    numbers = ("WEIGHT", "MAX GPUS", "MAX WAITING")
    table = make_table("NAME", *numbers, "UID", "LAST SEEN", "MAY", right=[*numbers, "UID"], whole=["NAME"])
    for view in views:
        quotas = ["" if quota is None else str(quota) for quota in (view.max_gpus, view.max_queued)]
        rights = {"change everybody's jobs": view.administrator, "use priority high": view.may_use_high}
        may = ", ".join(words for words, granted in rights.items() if granted)
        seen = "" if view.seen_at is None else f"{age_of(view.seen_at)} ago"
        uid = "" if view.uid is None else str(view.uid)
        table.add_row(view.name, f"{view.weight:g}", *quotas, uid, seen, may)
    return table
