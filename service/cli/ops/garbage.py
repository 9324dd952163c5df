"""cnnctl gc: free the disk of what no job can still need."""

import sys
from collections.abc import Mapping, Sequence

import click
from rich.progress import track
from rich.table import Table

from service.cli.session import format_bytes, open_session, print_json, shorten_home
from service.cli.terminal import echo, make_console
from service.commands.ops.garbage import Garbage, Policy, list_garbage, remove
from service.domain.jobs import Job
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
    help="How long failed and cancelled jobs keep their checkpoints, for `cnnctl retry`; and unused images.",
)
@click.option("--orphans", is_flag=True, help="Also run folders of that age that the database does not know.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(dry_run: bool, days: int, orphans: bool, as_json: bool) -> None:
    """Delete checkpoints that no job can still need.

    Of succeeded jobs all but the best one; of failed and cancelled jobs all, a while after their end; of
    queued and running jobs none. Also unpacked images of datasets that no run has used for as long. Networks,
    logs, events and specs stay. Looks at run folders on this host only. Exits with 1 when something could not
    be deleted.
    """
    settings, store = open_session()
    policy = Policy(older_than_days=days, orphans=orphans)
    found = list_garbage(store, settings, policy)
    kept = ["" for _ in found] if dry_run else _remove_all(store, found, policy)
    if as_json:
        print_json(_view(found, kept, dry_run=dry_run))
    else:
        _show(found, kept, dry_run=dry_run)
    sys.exit(1 if any(kept) else 0)


def _remove_all(store: Store, found: Sequence[Garbage], policy: Policy) -> Sequence[str]:
    """Remove one after the other; on a terminal with a bar."""
    talk = make_console(stderr=True)
    steps = track(found, "Deleting", console=talk, transient=True, disable=not talk.is_terminal)
    return [remove(store, found, policy) for found in steps]


def _view(garbage: Sequence[Garbage], kept: Sequence[str], *, dry_run: bool) -> Mapping[str, object]:
    folders = [
        {
            "path": str(one.path),
            "kind": one.kind.value,
            "job": one.source.id if isinstance(one.source, Job) else None,
            "why": one.why,
            "bytes": one.bytes,
            "kept": stays,
        }
        for one, stays in zip(garbage, kept, strict=True)
    ]
    return {"dry_run": dry_run, "bytes": _freed(garbage, kept), "folders": folders}


def _show(garbage: Sequence[Garbage], kept: Sequence[str], *, dry_run: bool) -> None:
    if garbage:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("FOLDER", overflow="fold")
        table.add_column("SIZE", no_wrap=True, justify="right")
        table.add_column("WHY", overflow="fold")
        for one, stays in zip(garbage, kept, strict=True):
            why = f"kept: {stays}" if stays else one.why
            table.add_row(shorten_home(str(one.path)), format_bytes(one.bytes), why)
        make_console().print(table)
    count, size = kept.count(""), format_bytes(_freed(garbage, kept))
    folders = "1 folder" if count == 1 else f"{count} folders"
    would = f"Would delete {folders}, {size}; nothing was deleted."
    echo(would if dry_run else f"Deleted {folders}, {size}.")


def _freed(garbage: Sequence[Garbage], kept: Sequence[str]) -> int:
    return sum(one.bytes for one, stays in zip(garbage, kept, strict=True) if not stays)
