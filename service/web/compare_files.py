"""What a comparison gives besides its page: pictures, their numbers, and the table."""

import csv
import io
import json
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from service.api.ask import Asked as AskedRequest
from service.bound import Bound
from service.errors import SpecError
from service.web.address import is_number
from service.web.answer import SAFE_HEADERS, PageRoute, visiting
from service.web.chart import Chart, Curve, Point
from service.web.chart_svg import draw_chart
from service.web.compare_address import WINDOW, Asked, find_jobs, read_address, read_window
from service.web.compare_chart import make_curves_chart
from service.web.compare_page import find_metric, make_table
from service.web.compare_scatter import check_scatter, make_scatter
from service.web.parts import Visit

router = APIRouter(route_class=PageRoute, include_in_schema=False)
VERSION = "version"  # which nobody reads: with another one, a browser asks for the picture anew
WIDTH = 900
WIDTHS = Bound(least=300, most=4000, why="a picture is looked at on a screen or a page")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # with which a cell is a formula for a spreadsheet


@router.get("/compare.svg")
def get_picture(ask: AskedRequest) -> Response:
    """The curves, or with `chart=scatter` a setting against a result."""
    with visiting(ask) as visit:
        query = ask.request.query_params
        asked = read_address(query, also=(*WINDOW, "chart", "width", VERSION))
        if query.get("chart") == "scatter" and asked.scatter:
            view = visit.client.compare(_get_jobs(asked, visit))
            check_scatter(visit.client, view, asked.scatter)
            chart = make_scatter(view, *asked.scatter)
        else:
            chart = _make_chart(asked, visit, read_window(query))
        return picture(draw_chart(chart, width=read_width(query.get("width", ""))))


@router.get("/compare.json")
def get_numbers(ask: AskedRequest) -> Response:
    """The curves as the browser draws them."""
    with visiting(ask) as visit:
        query = ask.request.query_params
        asked = read_address(query, also=WINDOW)
        return numbers(_make_chart(asked, visit, read_window(query)))


@router.get("/compare.csv")
def get_table(ask: AskedRequest) -> Response:
    """The table for a spreadsheet."""
    with visiting(ask) as visit:
        asked = read_address(ask.request.query_params)
        columns, rows = make_table(visit.client.compare(_get_jobs(asked, visit)), asked)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["job", *(_to_cell(column.field) for column in columns)])
    writer.writerows([job, *map(_to_cell, values)] for job, values in rows)
    headers = SAFE_HEADERS | {"Content-Disposition": 'attachment; filename="compare.csv"'}
    return Response(
        text.getvalue().encode("utf-8", "replace"), headers=headers, media_type="text/csv; charset=utf-8"
    )


def _make_chart(asked: Asked, visit: Visit, window: tuple[float, float] | None) -> Chart:
    jobs = _get_jobs(asked, visit)
    metric = asked.metric or find_metric(asked, visit.client.compare(jobs))
    return make_curves_chart(visit.client, asked, jobs, metric=metric, window=window)


def _get_jobs(asked: Asked, visit: Visit) -> Sequence[int]:
    jobs = find_jobs(asked, visit)
    if len(jobs) < 2:
        raise SpecError("Two jobs or more are compared, as in /compare?jobs=7,9")
    return jobs


def _to_cell(value: object) -> object:
    """A value that no spreadsheet reads as a formula: a text that begins like one gets an apostrophe."""
    if value is None or isinstance(value, (int, float)):
        return value
    text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def read_width(text: str) -> int:
    """How wide a picture is to be, in pixels.

    Raises:
        SpecError: it is no number, or beyond its bounds.
    """
    width = int(text) if is_number(text, digits=5) else 0 if text else WIDTH
    WIDTHS.check("width", width)
    return width


def picture(svg: str) -> Response:
    """An SVG as a file of its own."""
    return Response(svg.encode("utf-8", "replace"), headers=SAFE_HEADERS, media_type="image/svg+xml")


def numbers(chart: Chart) -> Response:
    """A chart as JSON for the browser."""
    document = {
        "title": chart.title,
        "x": chart.x_label,
        "y": chart.y_label,
        "logarithmic": chart.logarithmic,
        "notes": chart.notes,
        "curves": [_to_json(curve) for curve in chart.curves],
    }
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return Response(text, headers=SAFE_HEADERS, media_type="application/json")


def _to_json(curve: Curve) -> dict[str, object]:
    return {
        "key": curve.key,
        "label": curve.label,
        "colour": curve.look.colour,
        "dash": curve.look.dash,
        "last": curve.last,
        "points": _split(curve.points),
        "behind": _split(curve.behind),
        "band": list(zip(*curve.band, strict=True)),
    }


def _split(points: Sequence[Point]) -> Sequence[Sequence[float | None]]:
    return [[x for x, _ in points], [y for _, y in points]]
