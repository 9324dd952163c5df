"""cnnctl hosts: all hosts, whether their workers are alive, and removing hosts that are gone."""

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from cnnctl.views.fleet import HostView
from service.cli.display.gpu_table import NO_WORKER_YET
from service.cli.display.job_table import age_of
from service.cli.display.table import make_table
from service.cli.session import open_client, print_json
from service.cli.terminal import echo, make_console, say


@click.group("hosts", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show all hosts and whose workers are alive, or remove one."""
    if ctx.invoked_subcommand is not None:
        return
    views = open_client().list_hosts()
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        say(NO_WORKER_YET)


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget a host that is gone, and its GPUs; only administrators may.

    Jobs that ran there keep their history. A worker that starts with this name registers the host again.
    """
    open_client().remove_host(name)
    echo(f"{name} is removed. A worker that starts with CNNCTL_HOST={name} brings it back.")


def _table(views: Sequence[HostView]) -> Table:
    numbers = ("CORES", "GPUS FREE", "JOBS", "CLOCK AHEAD")
    names = ("HOST", "WORKER", *numbers, "DRIVER")
    table = make_table(*names, right=numbers, whole=names)
    for view in views:
        ahead = view.clock_ahead_seconds
        table.add_row(
            view.host,
            _worker(view),
            str(view.cores),
            f"{view.gpus_free}/{view.gpus}",
            str(view.jobs),
            "" if ahead is None else f"{round(ahead, 1) + 0.0:.1f} s",
            view.driver or "",
        )
    return table


def _worker(view: HostView) -> Text:
    if view.alive and view.reason:
        return Text("alive, disk full", style="yellow")
    if view.heartbeat_at is None:
        return Text(view.reason.removeprefix("its worker "), style="dim")
    if view.alive:
        return Text(f"heartbeat {age_of(view.heartbeat_at)} ago", style="green")
    return Text(f"silent for {age_of(view.heartbeat_at)}", style="red")
