"""cnnctl notify: messages when a job ends, fails or is preempted."""

from collections.abc import Sequence

import click
from rich.table import Table

from cnnctl.views.people import HookView
from service.cli.display.table import make_table
from service.cli.session import open_session, print_json
from service.cli.terminal import echo, make_console, say
from service.commands.people.hooks import add_hook, list_hook_views, remove_hook
from service.commands.people.identity import current_actor
from service.domain.hooks import HookId
from service.domain.states import Channel, Occasion

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
    occasions = {Occasion(name) for name in names.split(",")}
    settings, store = open_session()
    channel = Channel.MAIL if mail is not None else Channel.WEBHOOK
    actor, address = current_actor(store), mail or webhook or ""
    number = add_hook(store, settings, channel=channel, address=address, occasions=occasions, actor=actor)
    say(f"Hook {number} sends messages about {actor.name}'s jobs to {address}.")
    say(f"Remove it: cnnctl notify remove {number}")
    echo(number)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_hooks(as_json: bool) -> None:
    """Show your hooks, and whether their last message was delivered."""
    _, store = open_session()
    views = list_hook_views(store, actor=current_actor(store))
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
    _, store = open_session()
    remove_hook(store, HookId(hook), actor=current_actor(store))
    echo(f"Hook {hook} is removed.")


def _table(views: Sequence[HookView]) -> Table:
    names = ("HOOK", "BY", "TO", "ON", "LAST MESSAGE")
    table = make_table(*names, folded=names)
    for view in views:
        last = "" if view.last_job is None else f"job {view.last_job}: {_became(view)}"
        table.add_row(str(view.hook), view.channel, view.address, ", ".join(view.on), last)
    return table


def _became(view: HookView) -> str:
    return "delivered" if view.delivered else view.error or "on its way"
