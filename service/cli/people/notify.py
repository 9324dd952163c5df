"""cnnctl notify: messages when a job ends, fails or is preempted."""

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from cnnctl.views.people import HookView
from cnnctl.views.requests import HookRequest
from service.cli.display.table import make_table
from service.cli.session import open_client, print_json
from service.cli.terminal import echo, make_console, say
from service.domain.states import Occasion

OCCASIONS = ",".join(occasion.value for occasion in Occasion)


@click.group("notify")
def command() -> None:
    """Get messages when your jobs end, fail or are preempted."""


@command.command("add")
@click.option("--on", "names", default="end", show_default=True, help=f"Any of {OCCASIONS}.")
@click.option("--mail", metavar="ADDRESS", help="Send a mail, by the command CNNCTL_MAIL_COMMAND.")
@click.option("--webhook", metavar="URL", help="POST a JSON object, see docs/json.md.")
def add(names: str, mail: str | None, webhook: str | None) -> None:
    """Send messages about your jobs to an address from now on.

    A message has the outcome, the reason, the last metrics and the last lines of the log.
    """
    if (mail is None) == (webhook is None):
        raise click.UsageError("Give one address: --mail ADDRESS or --webhook URL")
    unknown = set(names.split(",")) - set(OCCASIONS.split(","))
    if unknown:
        raise click.UsageError(f"--on takes any of {OCCASIONS}. Received: {sorted(unknown)[0]!r}")
    occasions: Any = sorted(set(names.split(",")))
    request = HookRequest(
        channel="mail" if mail is not None else "webhook", address=mail or webhook or "", on=occasions
    )
    hook = open_client().add_hook(request)
    say(f"Hook {hook.hook} sends messages about your jobs to {hook.address}.")
    say(f"Remove it: cnnctl notify remove {hook.hook}")
    echo(hook.hook)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_hooks(as_json: bool) -> None:
    """Show your hooks, and whether their last message was delivered."""
    views = open_client().list_hooks()
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        say("You have no hooks. Add one: cnnctl notify add --on end --mail ADDRESS")


@command.command("remove")
@click.argument("hook", type=int)
def remove(hook: int) -> None:
    """Stop the messages of a hook."""
    open_client().remove_hook(hook)
    echo(f"Hook {hook} is removed.")


def _table(views: Sequence[HookView]) -> Table:
    names = ("HOOK", "BY", "TO", "ON", "MADE BY", "LAST MESSAGE")
    table = make_table(*names, folded=names)
    for view in views:
        last = "" if view.last_job is None else f"job {view.last_job}: {_became(view)}"
        table.add_row(str(view.hook), view.channel, view.address, ", ".join(view.on), view.via, last)
    return table


def _became(view: HookView) -> str:
    return "delivered" if view.delivered else view.error or "on its way"
