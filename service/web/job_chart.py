"""The curves of one job as a picture: training and validation in two colours, and where attempts began."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.responses import Response

from cnnctl.views.curves import CurveView
from service.api.ask import Asked
from service.errors import SpecError
from service.web.address import check_query, read_number
from service.web.answer import PageRoute, visiting
from service.web.chart import TRAIN, VALIDATION, Chart, Curve, Look, choose_look
from service.web.chart_svg import draw_chart
from service.web.compare_address import WINDOW, read_smooth, read_window
from service.web.compare_chart import THINNED, read_curves
from service.web.compare_files import picture, read_width
from service.web.curve_axis import LABELS, Axis, AxisName, find_axis, read_axis, read_logarithmic
from service.web.curve_lines import Window, describe_smoothing, make_lines
from service.web.lanes import list_restarts
from service.web.parts import Visit

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_METRICS = 8
OF_VALIDATION = "val_"


@router.get("/jobs/{job}/chart.svg")
def get_picture(ask: Asked, job: str) -> Response:
    """One metric, or several in one picture: `metric=loss&metric=val_loss`."""
    with visiting(ask) as visit:
        query = ask.request.query_params
        check_query(query, ("metric", "x", "y", "smooth", "width", *WINDOW))
        chart = make_job_chart(visit, read_number(job, what="job"), query)
        return picture(draw_chart(chart, width=read_width(query.get("width", ""))))


def make_job_chart(visit: Visit, job: int, query: QueryParams) -> Chart:
    """The chart of a job that a query asks for.

    Raises:
        JobNotFound: there is no such job.
        SpecError: a parameter takes something else.
    """
    metrics = list(dict.fromkeys(query.getlist("metric"))) or ["loss", "val_loss"]
    if len(metrics) > MOST_METRICS:
        raise SpecError(f"A picture has at most {MOST_METRICS} metrics. Received: {len(metrics)}")
    weight, window, logarithmic = (
        read_smooth(query.get("smooth", "")),
        read_window(query),
        read_logarithmic(query.get("y", "")),
    )
    x = _choose_axis(visit, job, query.get("x", ""))
    views = read_curves(visit.client, [job], metrics, x=x, window=window)
    axis = find_axis(views[0], x) if views else None
    curves = [] if axis is None else _list_curves(views, axis, weight, window, logarithmic=logarithmic)
    restarts = list_restarts(visit.get_job(job))
    missing = [view.metric for view in views if not view.points]
    notes = [THINNED] if any(view.decimated for view in views) else []
    return Chart(
        title=", ".join(words for words in (f"Job {job}", describe_smoothing(weight)) if words),
        x_label=LABELS[x],
        y_label=metrics[0]
        if set(metrics) <= {metrics[0], OF_VALIDATION + metrics[0]}
        else ", ".join(metrics),
        curves=curves,
        marks=[(axis.place(step), words) for step, words in restarts] if axis else [],
        notes=[*notes, f"Not recorded: {', '.join(missing)}"] if missing else notes,
        logarithmic=logarithmic,
        x_range=window,
    )


def _choose_axis(visit: Visit, job: int, text: str) -> AxisName:
    """What the address says; else, as on the page of the job, epochs where they are known."""
    if text:
        return read_axis(text)
    (view,) = visit.client.get_curves([job], ["loss"], points=1)
    return "epoch" if view.steps_per_epoch else "step"


def _list_curves(
    views: Sequence[CurveView], axis: Axis, weight: float, window: Window, *, logarithmic: bool
) -> Sequence[Curve]:
    there = [view for view in views if view.points]
    looks = choose_looks([view.metric for view in there])
    return [
        Curve(
            key=view.metric,
            label=view.metric,
            look=look,
            last=view.last,
            points=points,
            behind=behind,
        )
        for view, look in zip(there, looks, strict=True)
        for points, behind in [make_lines(view, axis, weight=weight, window=window, logarithmic=logarithmic)]
    ]


def choose_looks(metrics: Sequence[str]) -> Sequence[Look]:
    """The first metric of the training and the first of the validation have the two colours of these."""
    looks: dict[str, Look] = {}
    for number, metric in enumerate(metrics):
        validation = metric.startswith(OF_VALIDATION)
        look = Look(colour=VALIDATION, dash="6 3") if validation else Look(colour=TRAIN)
        looks[metric] = choose_look(number + 2) if look in looks.values() else look
    return list(looks.values())
