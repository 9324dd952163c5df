"""Draws the history of GPUs: mean and maximum of each, and its utilization as a line of blocks."""

from collections.abc import Sequence

from rich.table import Table

from cnnctl.views.fleet import GpuHistoryView
from service.cli.display.gpu_table import format_gib
from service.cli.display.table import make_table

CURVE_POINTS = 24  # blocks in a row, so that it fits a terminal of 80 columns; of a day, one an hour
BLOCKS = "▁▂▃▄▅▆▇█"
NOTHING_READ = "·"

Ranges = Sequence[tuple[float, float] | None]


def gpu_history_table(views: Sequence[GpuHistoryView]) -> Table:
    """A row for each GPU; of a bucket the curve shows the middle between its lowest and highest minute."""
    numbers = ("UTIL MEAN", "UTIL MAX", "GIB MEAN", "GIB MAX")
    names = ("GPU", *numbers, "UTILIZATION, 0 TO 100 %")
    table = make_table(*names, right=numbers, whole=names)
    for view in views:
        table.add_row(
            f"{view.host}:{view.number}",
            _percent(view.mean_utilization),
            _percent(_highest(view.utilization)),
            _gib(view.mean_memory_used_mib),
            _gib(_highest(view.memory_used_mib)),
            "".join(_block(pair) for pair in view.utilization),
        )
    return table


def _highest(ranges: Ranges) -> float | None:
    return max((pair[1] for pair in ranges if pair), default=None)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def _gib(mib: float | None) -> str:
    return "" if mib is None else format_gib(mib)


def _block(pair: tuple[float, float] | None) -> str:
    if pair is None:
        return NOTHING_READ
    share = min(1.0, max(0.0, sum(pair) / 200))
    return BLOCKS[round(share * (len(BLOCKS) - 1))]
