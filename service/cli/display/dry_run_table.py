"""Draws the result of a dry run."""

from collections.abc import Iterator
from datetime import datetime, timezone

from rich.table import Table
from rich.text import Text

from cnnctl.views.codec import to_json
from cnnctl.views.dry_run import CandidateHost, DryRunView
from service.cli.session import format_seconds, print_json
from service.cli.terminal import make_console, say
from service.domain.gpus import format_gpus

SMALLEST_SHOWN_MIB = 0.05


def show_dry_run(view: DryRunView, *, as_json: bool) -> None:
    """Print the result of a dry run."""
    if as_json:
        print_json(view)
    else:
        make_console().print(dry_run_table(view))
        say("Nothing was queued.")


def dry_run_table(view: DryRunView) -> Table:
    """What would be trained, where, in how much memory and time, and when."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "network": f"{view.network} on {view.dataset}, images of {view.image_size} pixels",
        **({"dataset": view.found} if view.found else {}),
        "batch": _batch(view),
        "devices": _devices(view),
        "memory": _memory(view),
        "time": _time(view),
        "start": _start(view),
    }
    for name, cell in rows.items():
        table.add_row(name, cell if isinstance(cell, Table) else Text(cell))
    return table


def _batch(view: DryRunView) -> str:
    share = view.batch_size // view.gpus
    each = f", {share:,} on each of {view.gpus} GPUs" if view.gpus > 1 else " on 1 GPU"
    return f"{view.batch_size:,} images a step{each}; epochs: {view.epochs:,}"


def _devices(view: DryRunView) -> Table | str:
    if not view.hosts:
        return "no host has that many matching GPUs that are neither drained nor quarantined"
    table = _grid("left", "left", "left")
    for host in view.hosts:
        table.add_row(*map(Text, (host.host, _free(host), ", ".join(host.models))))
    return table


def _free(host: CandidateHost) -> str:
    if host.fits == "not":
        return "too little memory"
    if not host.up:
        return "its worker is not alive"
    tight = ", perhaps too little memory" if host.fits == "perhaps" else ""
    return f"{len(host.free)} of {format_gpus(host.gpus)} free{tight}"


def _memory(view: DryRunView) -> Table:
    limit = view.device_memory_mib
    of = f"of {limit:,} on each GPU" if limit else "on each GPU; nothing limits it here"
    table = _grid("right", "left")
    table.add_row(Text(f"{view.total_memory_mib:,.1f}"), Text(f"MiB {of}", style="bold"))
    for name, mib in sorted(to_json(view.memory_mib).items(), key=lambda item: -item[1]):
        if mib >= SMALLEST_SHOWN_MIB:
            table.add_row(Text(f"{mib:,.1f}"), Text(name))
    return table


def _time(view: DryRunView) -> str:
    if view.epoch_seconds is None or view.training_seconds is None:
        return "unknown: no job with the same spec has completed an epoch yet"
    count = view.like_jobs
    return (
        f"about {format_seconds(view.epoch_seconds)} an epoch, "
        f"about {format_seconds(view.training_seconds)} for all epochs, as "
        f"{'a job' if count == 1 else f'{count} jobs'} with the same spec took"
    )


def _start(view: DryRunView) -> str:
    return "; ".join(_start_words(view))


def _start_words(view: DryRunView) -> Iterator[str]:
    if view.estimated_start_at:
        moment = view.estimated_start_at
        seconds = max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
        yield f"in about {format_seconds(seconds)} ({moment:%Y-%m-%d %H:%M} UTC)"
    if view.queue_position and " in line" not in view.reason:
        yield f"position {view.queue_position} in the queue"
    yield view.reason


def _grid(*justify: str) -> Table:
    table = Table.grid(padding=(0, 2))
    for side in justify:
        table.add_column(justify=side, overflow="fold")  # type: ignore[arg-type]
    return table
