"""cnnctl gpus: all GPUs, and giving one back that was taken out of use."""

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from service.cli.session import make_console, open_session, print_json
from service.commands.gpus import View, list_gpu_views, release_gpu


@click.group("gpus", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show all GPUs, who holds them, and which are out of use."""
    if ctx.invoked_subcommand is not None:
        return
    _, store = open_session()
    views = list_gpu_views(store)
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        click.echo("No worker has been here yet. Start one with cnnctl up, or cnnctl worker")


@command.command("release")
@click.argument("uuid")
def release(uuid: str) -> None:
    """Give a quarantined GPU back, once what was wrong with it is mended."""
    _, store = open_session()
    release_gpu(store, uuid)
    click.echo(f"{uuid} is available again.")


def _table(views: Sequence[View]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("HOST", "GPU", "MODEL", "STATE", "JOB"):
        table.add_column(name, no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for view in views:
        free = view["job"] is None
        state = view["state"] if view["state"] != "available" else "free" if free else "in use"
        style = {"free": "green", "in use": "cyan", "quarantined": "red"}[state]
        job = "" if free else str(view["job"])
        cells = [view["host"], view["uuid"], view["model"]]
        table.add_row(*map(Text, cells), Text(state, style=style), Text(job), Text(view["reason"]))
    return table
