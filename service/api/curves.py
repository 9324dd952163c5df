"""The routes of charts: the curves of several jobs at once."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from cnnctl.views.curves import BandView, CurveView
from service.api.ask import Asked
from service.api.declare import get

router = APIRouter(tags=["curves"])
Jobs = Annotated[Sequence[int], Query(description="1 to 100 jobs", min_length=1, max_length=100)]
Metrics = Annotated[Sequence[str], Query(description="1 to 20 metrics", min_length=1, max_length=20)]
Step = Annotated[int | None, Query(ge=0, le=2**62, description="an end of the range of steps")]
Points = Annotated[int, Query(ge=1, le=2000, description="of each curve at most")]


@get(router, "/curves", Sequence[CurveView])
def get_curves(
    ask: Asked, job: Jobs, metric: Metrics, start: Step = None, end: Step = None, points: Points = 600
) -> Response:
    """Curves of jobs; points that fall together keep their least and largest value."""
    return ask.look(lambda client: client.get_curves(job, metric, start=start, end=end, points=points))


@get(router, "/bands", Sequence[BandView])
def get_bands(
    ask: Asked,
    job: Jobs,
    metric: str,
    start: Step = None,
    end: Step = None,
    points: Points = 600,
    ignoring: Annotated[
        Sequence[str],
        Query(description="fields in which jobs of a group may differ; empty: none"),
    ] = ("training.seed",),
) -> Response:
    """The mean of jobs that differ only in their seeds, with its 95 % confidence band."""
    fields = [path for path in ignoring if path]
    return ask.look(
        lambda client: client.get_bands(job, metric, start=start, end=end, points=points, ignoring=fields)
    )
