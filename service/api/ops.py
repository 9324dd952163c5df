"""The routes of the service itself: what is wrong with it, and what on its disk may go."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from cnnctl.version import find_version
from cnnctl.views.access import VersionView
from cnnctl.views.codec import to_json
from cnnctl.views.ops import Finding, GarbageView
from cnnctl.views.requests import GarbageRequest
from service.api.ask import Asked
from service.api.declare import act, get

router = APIRouter(tags=["service"])


@get(router, "/version", VersionView)
def get_version() -> Response:
    """What answers here; anybody may ask."""
    return JSONResponse(to_json(VersionView(version=find_version())))


@get(router, "/doctor", Sequence[Finding])
def examine(
    ask: Asked, deep: Annotated[bool, Query(description="also read whole checkpoints")] = False
) -> Response:
    """What is wrong with the service, and what to do about it; administrators may ask."""
    return ask.look(lambda client: client.examine(deep=deep))


@act(router, "POST", "/garbage", GarbageView, body=GarbageRequest)
def collect_garbage(ask: Asked) -> Response:
    """Delete what no job can still need on the service's host; administrators may."""
    return ask.act(lambda client: client.collect_garbage(ask.read(GarbageRequest)), once=False)
