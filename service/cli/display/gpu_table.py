"""Draws the table of GPUs, and under it in words why some get no job."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Group
from rich.text import Text

from cnnctl.views.fleet import GpuView
from service.cli.display.job_table import age_of
from service.cli.display.table import make_table
from service.commands.fleet.shown_state import name_state
from service.domain.gpus import Outsider

STYLES = {
    "free": "green",
    "in use": "cyan",
    "outside": "yellow",
    "draining": "magenta",
    "drained": "magenta",
    "quarantined": "red",
    "no worker": "dim",
}
WIDE = 110  # a narrower terminal shows no UUIDs: HOST:NUMBER names a GPU everywhere, too
ID_CHARACTERS = 12  # "GPU-" and eight more: enough of a real UUID to tell GPUs apart
MIB_PER_GIB = 1024
NO_WORKER_YET = "No worker has registered yet. Start one with cnnctl up, or cnnctl worker"


def gpu_table(views: Sequence[GpuView], *, width: int) -> Group:
    """GPUs as a table that fits the width of a terminal, in columns."""
    if not views:
        return Group(Text(NO_WORKER_YET))
    wide = width >= WIDE
    numbers = ("JOB", "SINCE", "GIB", "UTIL", "TEMP")
    # On a narrow terminal, model and owner are cut, but never a number.
    whole = ("GPU", "UUID", "STATE", *numbers)
    uuid = ["UUID"] if wide else []
    table = make_table("GPU", *uuid, "MODEL", "STATE", "OWNER", *numbers, right=numbers, whole=whole)
    table.padding = (0, 1) if wide else (0, 1, 0, 0)
    for view in views:
        table.add_row(*_cells(view, wide=wide))
    return Group(
        table, *(Text(line, style=STYLES[name_state(view)]) for view in views for line in _why(view))
    )


def _cells(view: GpuView, *, wide: bool) -> Iterator[Text]:
    state = name_state(view)
    yield Text(f"{view.host}:{view.number}")
    if wide:
        yield Text(view.uuid if view.simulated else view.uuid[:ID_CHARACTERS])
    yield Text(view.model.removeprefix("NVIDIA "), no_wrap=True, overflow="ellipsis")
    yield Text(state, style=STYLES[state])
    yield Text(view.owner or "", no_wrap=True, overflow="ellipsis")
    yield Text("" if view.job is None else str(view.job))
    yield Text(age_of(view.since) if view.since else "")
    yield Text(_memory(view))
    yield Text("" if view.utilization_percent is None else f"{view.utilization_percent} %")
    yield Text("" if view.temperature_celsius is None else f"{view.temperature_celsius} °C")


def _memory(view: GpuView) -> str:
    used = "?" if view.memory_used_mib is None else format_gib(view.memory_used_mib)
    return f"{used}/{format_gib(view.memory_mib)}"


def format_gib(mib: float) -> str:
    """Memory as text, in GiB: 0.3, 12.0, 137."""
    gib = mib / MIB_PER_GIB
    return f"{gib:.0f}" if gib >= 100 else f"{gib:.1f}"


def _why(view: GpuView) -> Iterator[str]:
    """Lines under the table: the reason of a state, outsiders, memory errors."""
    name = f"{view.host}:{view.number}"
    if view.reason:
        yield f"{name} {view.state}: {view.reason}"
    for one in view.outsiders:
        outsider = Outsider(**asdict(one))
        mib = "" if outsider.memory_mib is None else f", {outsider.memory_mib:,} MiB"
        yield f"{name} used from outside the queue: {outsider}{mib}"
    if view.ecc_errors:
        yield f"{name} {view.ecc_errors} uncorrected memory errors since its driver was loaded"
