"""cnnctl gc: deletes what no job can still need."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from rich.progress import track

from cnnctl.views.ops import GarbageView
from cnnctl.views.requests import GarbageRequest
from service.cli.display.table import make_table
from service.cli.session import format_bytes, open_session, print_json, shorten_home
from service.cli.terminal import echo, make_console
from service.client.choose import find_api
from service.commands.ops.garbage import (
    Garbage,
    Policy,
    describe,
    list_garbage,
    remove_all,
    remove_old_minutes,
)
from service.commands.people.identity import current_actor
from service.settings import Settings, load_settings
from service.store.transaction import Store


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Show what would go, and delete nothing.")
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=int,
    default=30,
    show_default=True,
    help="How long failed and cancelled jobs keep their checkpoints, and unused images stay.",
)
@click.option(
    "--orphans", is_flag=True, help="Also delete run folders of that age that are not in the database."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(dry_run: bool, days: int, orphans: bool, as_json: bool) -> None:
    """Delete checkpoints that no job can still need.

    A succeeded job keeps its best checkpoint. Failed and cancelled jobs keep theirs for a while, so that
    `cnnctl retry` can continue them. Other jobs keep theirs. Also deletes unpacked images of datasets that no
    run has used for as long, and what was read of the GPUs more than 30 days ago. Networks, logs, events and
    specs stay. Searches the run folders of this host only, or of the API's. Exits with 1 when something
    could not be deleted.
    """
    api = find_api(load_settings())
    if api is not None:
        view = api.collect_garbage(GarbageRequest(older_than_days=days, orphans=orphans, dry_run=dry_run))
        _finish(view, as_json=as_json)
    settings, store = open_session()
    policy = Policy(older_than_days=days, orphans=orphans)
    found = list_garbage(store, settings, policy)
    kept = ["" for _ in found] if dry_run else _remove_all(store, settings, found, policy)
    old = remove_old_minutes(store, settings, dry_run=dry_run, actor=current_actor(store))
    _finish(describe(found, kept, old_minutes=old, dry_run=dry_run), as_json=as_json)


def _finish(view: GarbageView, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json(view)
    else:
        _show(view)
    sys.exit(1 if any(folder.kept for folder in view.folders) else 0)


def _remove_all(store: Store, settings: Settings, found: Sequence[Garbage], policy: Policy) -> Sequence[str]:
    """Remove one folder after the other; on a terminal, with a progress bar."""
    talk = make_console(stderr=True)
    steps = track(found, "Deleting", console=talk, transient=True, disable=not talk.is_terminal)
    return remove_all(store, settings, found, policy, actor=current_actor(store), steps=steps)


def _show(view: GarbageView) -> None:
    if view.folders:
        table = make_table("FOLDER", "SIZE", "WHY", right=["SIZE"], whole=["SIZE"], folded=["FOLDER", "WHY"])
        for one in view.folders:
            why = f"kept: {one.kept}" if one.kept else one.why
            table.add_row(shorten_home(one.path), format_bytes(one.bytes), why)
        make_console().print(table)
    count, size = sum(not one.kept for one in view.folders), format_bytes(view.bytes)
    folders = "1 folder" if count == 1 else f"{count} folders"
    minutes = "1 minute" if view.gpu_minutes == 1 else f"{view.gpu_minutes:,} minutes"
    what = f"{folders}, {size}, and {minutes} of the GPUs' history"
    echo(f"Would delete {what}; nothing was deleted." if view.dry_run else f"Deleted {what}.")
