"""cnnctl gpus: all GPUs and their history, taking some out of use, and giving them back."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import click
from rich.live import Live

from cnnctl.client import Client
from cnnctl.views.fleet import GpuView
from service.cli.display.gpu_history_table import CURVE_POINTS, gpu_history_table
from service.cli.display.gpu_table import NO_WORKER_YET, gpu_table
from service.cli.session import open_client, print_json
from service.cli.terminal import echo, make_console, say

WATCH_SECONDS = 2.0


@click.group("gpus", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Draw the table again every two seconds, until Ctrl-C.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, watch: bool) -> None:
    """Show all GPUs and who holds them, or take some out of use.

    Name a GPU by its UUID, by the beginning of its UUID, or by HOST:NUMBER.
    """
    if ctx.invoked_subcommand is not None:
        return
    if watch and as_json:
        raise click.UsageError("--watch draws a table: it cannot be combined with --json")
    client = open_client()
    if as_json:
        print_json(client.list_gpus())
    elif watch:
        _watch(client)
    else:
        console = make_console()
        console.print(gpu_table(client.list_gpus(), width=console.width))


@command.command("history")
@click.option("--hours", type=float, default=24.0, show_default=True, help="How far back, at most 720.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def history(hours: float, as_json: bool) -> None:
    """Show how busy each GPU was over the last hours: mean, highest minute, and a curve.

    A dot in the curve says that nothing was read.
    """
    client = open_client()
    if as_json:
        print_json(client.list_gpu_history(hours=hours))
    elif views := client.list_gpu_history(hours=hours, points=CURVE_POINTS):
        make_console().print(gpu_history_table(views))
    else:
        say(NO_WORKER_YET)


@command.command("drain")
@click.argument("gpus", metavar="GPU|HOST...", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; cnnctl gpus shows it.")
def drain(gpus: Sequence[str], reason: str) -> None:
    """Give no new jobs to GPUs, or to all of a host's; only administrators may.

    Jobs that run there continue to their end.
    """
    for gpu in open_client().drain_gpus(gpus, reason=reason):
        place = _place(gpu)
        echo(f"{place} gets no new job. Give it back with: cnnctl gpus undrain {place}")


@command.command("undrain")
@click.argument("gpus", metavar="GPU|HOST...", nargs=-1, required=True)
def undrain(gpus: Sequence[str]) -> None:
    """Give jobs to drained GPUs again, or to all of a host's; only administrators may."""
    for gpu in open_client().undrain_gpus(gpus):
        echo(f"{_place(gpu)} is available again.")


@command.command("quarantine")
@click.argument("gpu")
@click.option("--reason", required=True, help="What is wrong with it.")
def quarantine(gpu: str, reason: str) -> None:
    """Take a GPU out of use because something is wrong with it; only administrators may."""
    (found,) = open_client().quarantine_gpus([gpu], reason=reason)
    place = _place(found)
    echo(f"{place} is quarantined. Once it is repaired: cnnctl gpus release {place}")


@command.command("release")
@click.argument("gpu")
def release(gpu: str) -> None:
    """Give a quarantined GPU back once it is repaired; only administrators may."""
    (found,) = open_client().release_gpus([gpu])
    echo(f"{_place(found)} is available again.")


def _place(gpu: GpuView) -> str:
    return f"{gpu.host}:{gpu.number}"


def _watch(client: Client) -> None:
    """Redraw the table until Ctrl-C."""
    console = make_console()
    if not sys.stdout.isatty():
        raise click.UsageError("--watch needs a terminal. Programs can use --json")
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(gpu_table(client.list_gpus(), width=console.width), refresh=True)
            time.sleep(WATCH_SECONDS)
