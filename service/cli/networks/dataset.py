"""cnnctl dataset: the lab's own datasets, by name."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cnnctl.views.datasets import DatasetView
from service.cli.display.table import make_table
from service.cli.param_types import FilePath
from service.cli.session import format_bytes, open_client, print_json
from service.cli.terminal import echo, make_console, say


@click.group("dataset")
def command() -> None:
    """Name images that everybody can train on."""


@command.command("add")
@click.argument("name")
@click.argument("path", type=FilePath())
@click.option("--describe", "description", metavar="TEXT", default="", help="What others should know of it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def add(name: str, path: Path, description: str, as_json: bool) -> None:
    """Copy a folder of images or an .npz file, and give it a name.

    PATH is what `--dataset folder:PATH` or `--dataset npz:PATH` would take. The copy never changes; jobs
    record its digest.
    """
    client = open_client()
    with _bar() as report:
        view = client.add_dataset(name, path, description=description, report=report)
    if as_json:
        print_json(view)
        return
    say(f"Found {view.found}." if view.found else "Nobody has looked into it: a package is missing here.")
    echo(f"{view.version} is added: {_count(view)}. Train on it: --dataset {view.name}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_datasets(as_json: bool) -> None:
    """Show the datasets that the lab has added."""
    views = open_client().list_datasets()
    if as_json:
        print_json(views)
    elif views:
        make_console().print(_table(views))
    else:
        say("The lab has added no dataset. Add one: cnnctl dataset add NAME PATH")


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(name: str, as_json: bool) -> None:
    """Show everything about one dataset."""
    page = open_client().get_dataset(name)
    if as_json:
        print_json(page)
        return
    view, grid = page.dataset, Table.grid(padding=(0, 2))
    for key, value in {
        "version": view.version,
        "digest": view.digest,
        "added": f"by {view.owner} on {view.added_at:%Y-%m-%d}",
        "description": view.description,
        "found": view.found,
        "size": _count(view),
        "needed by jobs": ", ".join(map(str, page.jobs)),
        "before": "\n".join(f"{one.version}, until {one.removed_at:%Y-%m-%d}" for one in page.earlier),
    }.items():
        if value:
            grid.add_row(key, value)
    make_console().print(grid)


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Take a name away and delete its images; its owner or an administrator may.

    Not while an unfinished job needs it. What it was stays known to the jobs that have ended.
    """
    open_client().remove_dataset(name)
    echo(f"Dataset {name} is removed.")


@contextmanager
def _bar() -> Iterator[Callable[[int, int], object]]:
    """A bar of what is copied, on a terminal."""
    talk = make_console(stderr=True)
    columns = (TextColumn("Copying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _table(views: Sequence[DatasetView]) -> Table:
    names = ("NAME", "OWNER", "ADDED", "SIZE", "FOUND", "DESCRIPTION")
    table = make_table(
        *names, right=["SIZE"], whole=["NAME", "ADDED", "SIZE"], folded=["FOUND", "DESCRIPTION"]
    )
    for view in views:
        added, size = f"{view.added_at:%Y-%m-%d}", format_bytes(view.bytes)
        table.add_row(view.name, view.owner, added, size, view.found, view.description)
    return table


def _count(view: DatasetView) -> str:
    return f"{view.files:,} {'file' if view.files == 1 else 'files'}, {format_bytes(view.bytes)}"
