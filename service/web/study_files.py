"""The pictures of a study as files."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter
from starlette.responses import Response

from cnnctl.views.studies import StudyReport
from service.api.ask import Asked
from service.errors import NotFound
from service.web.address import check_query, check_words, read_number
from service.web.answer import PageRoute, visiting
from service.web.chart_svg import draw_chart
from service.web.compare_files import picture, read_width
from service.web.study_curves import METRICS, list_recorded, make_curves
from service.web.study_findings import FINDINGS
from service.web.study_svg import draw_dots, draw_forest, list_metrics

router = APIRouter(route_class=PageRoute, include_in_schema=False)
CURVES_HEIGHT = 300


def _forest(report: StudyReport, metric: str, width: int) -> str:
    return draw_forest(report, width=width)


def _dots(report: StudyReport, metric: str, width: int) -> str:
    known = list_metrics(report)
    if metric:
        check_words("metric", [metric], known)
    return draw_dots(report, metric or known[0], width=width)


def _curves(report: StudyReport, metric: str, width: int) -> str:
    known = list_recorded(report) or METRICS
    if metric:
        check_words("metric", [metric], known)
    return draw_chart(make_curves(report, metric or known[0]), width=width, height=CURVES_HEIGHT)


PICTURES: Mapping[str, Callable[[StudyReport, str, int], str]] = {
    "forest": _forest,
    "dots": _dots,
    "curves": _curves,
}


@router.get("/studies/{study}/{name}.svg")
def get_picture(ask: Asked, study: str, name: str) -> Response:
    """One of `PICTURES`; dots and curves of the `metric`, which is the claim's or the first unless said."""
    query = ask.request.query_params
    check_query(query, ("metric", "width"))
    if name not in PICTURES:
        raise NotFound(f"There is no picture {name[:40]!r}. Pictures: {', '.join(PICTURES)}")
    width = read_width(query.get("width", ""))
    with visiting(ask) as visit:
        view = visit.client.get_study(read_number(study, what="study"))
        report = FINDINGS.get(visit.client, view).report
        return picture(PICTURES[name](report, query.get("metric", ""), width))
