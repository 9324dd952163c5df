"""The pictures on the page of a study."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from cnnctl.views.studies import StudyReport
from service.web.chart_svg import draw_chart
from service.web.study_curves import list_recorded, make_curves
from service.web.study_svg import WIDTH, draw_dots, draw_forest, list_metrics

CURVES_HEIGHT = 270
MOST_DOTS = 6  # metrics whose runs are drawn at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture; `others` are further metrics of the same kind, which have files alone."""

    name: str
    title: str
    note: str
    svg: Markup
    metric: str = ""
    others: Sequence[str] = ()


def list_pictures(report: StudyReport) -> Sequence[Picture]:
    """A forest, dots and curves, the claim's first; none before a pair of runs has ended."""
    if not any(one.pairs for one in report.contrasts):
        return []
    metrics = list_metrics(report)
    first, *rest = [_draw_dots(report, metric) for metric in metrics[:MOST_DOTS]]
    if rest:
        rest[-1] = replace(rest[-1], others=metrics[MOST_DOTS:])
    return [_draw_forest(report), first, *_draw_curves(report), *rest]


# The drawings are our own words; the texts within were escaped as they were written.


def _draw_forest(report: StudyReport) -> Picture:
    return Picture(
        name="forest",
        title="All contrasts",
        note="95 % intervals; shaded: equal within the margin",
        svg=Markup(draw_forest(report)),
    )


def _draw_dots(report: StudyReport, metric: str) -> Picture:
    of_metric = [one for one in report.contrasts if one.metric == metric]
    is_hollow = any(one.censored_first or one.censored_second for one in of_metric)
    return Picture(
        name="dots",
        title="A dot a run",
        note="a line a seed" + ("; hollow: never arrived" if is_hollow else ""),
        svg=Markup(draw_dots(report, metric)),
        metric=metric,
    )


def _draw_curves(report: StudyReport) -> Sequence[Picture]:
    recorded = list_recorded(report)
    if not recorded:
        return []
    chart = draw_chart(make_curves(report, recorded[0]), width=WIDTH, height=CURVES_HEIGHT)
    svg = Markup(chart)
    return [
        Picture(
            name="curves",
            title="Curves",
            note="mean over seeds",
            svg=svg,
            metric=recorded[0],
            others=recorded[1:],
        )
    ]
