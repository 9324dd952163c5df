"""What was measured in each layer, as a map: a row for each layer, a column for each stretch of epochs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from cnnctl.client import Client
from models.catalog.verdicts import PREFIX, QUANTITIES, in_order
from service.web.parts import Visit

COLUMNS = 60
AT_ONCE = 20  # curves of one question
SHARES = ("dead", "saturated", "near_zero", "symmetric")  # from 0 to 1; all others on a logarithmic scale
FIRST = "dead"
Link = Callable[..., str]
"""The address of the page with parameters changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A layer: how dark each of its cells is, from 0 to 1, None: nothing finite was measured."""

    layer: str
    cells: Sequence[float | None]
    last: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """A quantity by layer and time; `most` and `least` are what is darkest and lightest."""

    job: int
    quantity: str
    meaning: str
    others: Mapping[str, str]
    """The other quantities that were measured, and the addresses that show them."""
    rows: Sequence[Row]
    least: float
    most: float


def draw_heat(visit: Visit, job: int, quantity: str, link: Link) -> HeatMap | None:
    """The map of a quantity; None where no layer was measured."""
    names = [name for name in visit.get_job(job).metrics if name.startswith(PREFIX)]
    there = {name.rpartition("/")[2] for name in names}
    quantities = [one for one in QUANTITIES if one in there]
    if not quantities:
        return None
    shown = quantity if quantity in quantities else FIRST if FIRST in quantities else quantities[0]
    metrics = [name for name in names if name.rpartition("/")[2] == shown]
    means = dict(_list_means(visit.client, job, metrics))
    rows = {name.removeprefix(PREFIX).rpartition("/")[0]: means.get(name, []) for name in metrics}
    least, most = _find_range(shown, rows)
    return HeatMap(
        job=job,
        quantity=shown,
        meaning=QUANTITIES[shown].replace("`", ""),
        others={one: link(heat=one) for one in quantities if one != shown},
        rows=[_make_row(layer, rows[layer], shown, least, most) for layer in sorted(rows, key=in_order)],
        least=least,
        most=most,
    )


def _list_means(client: Client, job: int, metrics: Sequence[str]) -> Iterator[tuple[str, list[float | None]]]:
    """The mean of each stretch of epochs, by metric."""
    left = iter(metrics)
    while some := list(islice(left, AT_ONCE)):
        for curve in client.get_curves([job], some, points=COLUMNS):
            yield curve.metric, [mean for _, _, _, mean in curve.points]


def _find_range(quantity: str, rows: Mapping[str, Sequence[float | None]]) -> tuple[float, float]:
    if quantity in SHARES:
        return 0.0, 1.0
    sizes = [abs(value) for row in rows.values() for value in row if value]
    return (min(sizes), max(sizes)) if sizes else (0.0, 1.0)


def _make_row(layer: str, values: Sequence[float | None], quantity: str, least: float, most: float) -> Row:
    cells = [None if value is None else _shade(value, quantity, least, most) for value in values]
    return Row(layer=layer, cells=cells, last=values[-1] if values else None)


def _shade(value: float, quantity: str, least: float, most: float) -> float:
    """How dark a value is."""
    if quantity in SHARES:
        return min(1.0, max(0.0, value))
    if not value or most <= least:
        return 0.0
    return min(1.0, max(0.0, math.log(abs(value) / least) / math.log(most / least)))
