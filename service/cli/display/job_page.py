"""Draws everything about one job."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnnctl.views.jobs import AuditEntryView, JobView
from models.catalog.verdicts import PREFIX, QUANTITIES, in_order
from service.cli.display.job_table import STATE_STYLES, tell_why
from service.cli.display.table import make_table
from service.cli.session import shorten_home
from service.domain.gpus import format_gpus

MIB = 1024 * 1024


def job_page(view: JobView) -> Group:
    """One job: state, numbers, attempts, checkpoints, audit, spec."""
    parts: list[RenderableType] = [_head(view)]
    if view.log_tail:
        tail = [Text(line, style="dim", overflow="fold") for line in view.log_tail]
        parts += [_title(f"Last lines of the log, more: cnnctl logs {view.job}"), *tail]
    if view.metrics:
        parts += [_title("Metrics, last value of each"), _metrics(view), *_diagnostics(view)]
    if view.attempts:
        parts += [_title("Attempts"), _attempts(view)]
    if view.checkpoints:
        parts += [_title("Checkpoints"), _checkpoints(view)]
    parts += [_title("History"), history_table(view.events), _title("Spec"), _spec(view)]
    return Group(*parts)


def _head(view: JobView) -> Table:
    table = _grid(2)
    state = Text(view.state, style=STATE_STYLES.get(view.state, ""))
    table.add_row(Text(f"Job {view.job}", style="bold"), state)
    rows = {
        "name": view.name,
        "tags": ", ".join(view.tags),
        "note": view.note,
        "like": view.like and f"job {view.like}",
        "why": tell_why(view),
        "cause": view.cause and view.cause.replace("_", " "),
        "owner": view.owner,
        "project": view.project,
        "scheduling": ", ".join(_scheduling(view)),
        "memory": ", ".join(_memory(view)),
        "submitted": _moment(view.submitted_at),
        "ended": view.ended_at and _moment(view.ended_at),
        "run folder": view.run_dir and shorten_home(view.run_dir),
        "model": view.model and shorten_home(view.model),
        "weights": view.weights_digest,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(str(value), overflow="fold"))
    return table


def _memory(view: JobView) -> Iterator[str]:
    """The predicted memory on each GPU; nothing for a job that is older than the prediction."""
    if view.memory_mib:
        yield f"about {view.ample_memory_mib:,} MiB of each GPU"
        yield f"at least {view.memory_mib:,}"


def _scheduling(view: JobView) -> Iterator[str]:
    """The scheduling options that differ from the defaults."""
    if view.priority != "normal":
        yield f"priority {view.priority}"
    if view.after:
        yield f"after {', '.join(map(str, view.after))}"
    if view.not_before:
        yield f"not before {view.not_before:%Y-%m-%d %H:%M:%S} UTC"
    if view.exclusive:
        yield "alone on its host"
    if view.gpu_model:
        yield f"on a {view.gpu_model}"
    if view.host_asked_for:
        yield f"on host {view.host_asked_for}"
    if view.hosts > 1:
        yield f"over {view.hosts} hosts"


def _metrics(view: JobView) -> Table:
    table = _grid(4)
    cells = [
        (name, "not finite" if value is None else f"{value:,.4f}")
        for name, value in view.metrics.items()
        if not name.startswith(PREFIX)
    ]
    for left, right in zip(cells[::2], [*cells[1::2], ("", "")], strict=False):
        table.add_row(*left, *right)
    return table


def _diagnostics(view: JobView) -> list[RenderableType]:
    """The verdicts, then the last measurements of every layer."""
    measured = {name: value for name, value in view.metrics.items() if name.startswith(PREFIX)}
    said = [Text(verdict.message, style="yellow") for verdict in view.verdicts]
    if not measured:
        return [_title("Diagnostics"), *said] if said else []
    heads = [quantity.replace("_", " ").upper() for quantity in QUANTITIES]
    table = make_table("LAYER", *heads, right=heads)
    layers = {name.removeprefix(PREFIX).rpartition("/")[0] for name in measured}
    for layer in sorted(layers, key=in_order):
        values = (measured.get(f"{PREFIX}{layer}/{quantity}") for quantity in QUANTITIES)
        table.add_row(layer, *("" if value is None else f"{value:.3g}" for value in values))
    return [_title("Diagnostics"), *(said or [Text("nothing unusual", style="green")]), table]


def _attempts(view: JobView) -> Table:
    table = _grid(6)
    for a in view.attempts:
        where = f"{format_gpus(len(a.devices))} of {' and '.join(a.hosts)}"
        pid = f"pid {a.trainer_pid}" if a.trainer_pid and a.state != "ended" else ""
        start = f"from step {a.start_step}" if a.start_step is not None else ""
        table.add_row(
            f"{a.number}",
            a.outcome or a.state,
            (a.cause or "").replace("_", " "),
            where,
            start,
            pid,
            a.reason,
        )
    return table


def _checkpoints(view: JobView) -> Table:
    table = _grid(4)
    for c in view.checkpoints:
        table.add_row(f"step {c.step}", c.kind, f"{c.bytes / MIB:.1f} MiB", shorten_home(c.path))
    return table


def history_table(events: Sequence[AuditEntryView]) -> Table:
    """A job's audit, one line per entry."""
    table = _grid(4)
    for e in events:
        table.add_row(f"{e.at:%Y-%m-%d %H:%M:%S}", e.actor, e.action, e.detail)
    return table


def _spec(view: JobView) -> Table:
    table = _grid(2)
    for section, fields in view.spec.items():
        table.add_row(section, Text("  ".join(_flat(fields)), overflow="fold"))
    return table


def _flat(value: Any, path: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}={value}" if path else str(value)]
    return [
        text for name, inner in value.items() for text in _flat(inner, f"{path}.{name}" if path else name)
    ]


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _grid(columns: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table
