"""cnnctl hosts: all hosts, and whether their workers are heard."""

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from service.cli.display.gpu_table import NOBODY_YET
from service.cli.display.job_table import age_of
from service.cli.session import make_console, open_session, print_json, say
from service.commands.fleet.hosts import View, list_host_views


@click.command("hosts")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """Show all hosts and whether their workers are heard."""
    settings, store = open_session()
    views = list_host_views(store, settings)
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        say(NOBODY_YET)


def _table(views: Sequence[View]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("HOST", "WORKER"):
        table.add_column(name, no_wrap=True)
    for name in ("CORES", "GPUS FREE", "JOBS", "CLOCK AHEAD"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("DRIVER", no_wrap=True)
    for view in views:
        ahead = view["clock_ahead_seconds"]
        table.add_row(
            view["host"],
            _worker(view),
            str(view["cores"]),
            f"{view['gpus_free']}/{view['gpus']}",
            str(view["jobs"]),
            "" if ahead is None else f"{round(ahead, 1) + 0.0:.1f} s",
            view["driver"] or "",
        )
    return table


def _worker(view: View) -> Text:
    if view["heartbeat_at"] is None:
        return Text("has left", style="dim")
    if view["heard"]:
        return Text(f"heard {age_of(view['heartbeat_at'])} ago", style="green")
    return Text(f"silent for {age_of(view['heartbeat_at'])}", style="red")
