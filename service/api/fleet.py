"""The routes of GPUs and hosts."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from cnnctl.views.fleet import GpuHistoryView, GpuView, HostView
from cnnctl.views.requests import GpusRequest
from service.api.ask import Asked
from service.api.declare import act, get

router = APIRouter(tags=["hosts and GPUs"])


@get(router, "/gpus", Sequence[GpuView])
def list_gpus(ask: Asked) -> Response:
    """All GPUs and who holds them."""
    return ask.look(lambda client: client.list_gpus())


@get(router, "/gpus/history", Sequence[GpuHistoryView])
def list_gpu_history(
    ask: Asked,
    hours: Annotated[float, Query(description="how far back, at most 720")] = 24,
    points: Annotated[int, Query(description="how many buckets at most, to 1440")] = 288,
) -> Response:
    """What was read of each GPU over some hours, and who held it."""
    return ask.look(lambda client: client.list_gpu_history(hours=hours, points=points))


@act(router, "POST", "/gpus/drain", Sequence[GpuView], body=GpusRequest)
def drain(ask: Asked) -> Response:
    """Give GPUs, or all of a host's, no new jobs."""
    request = ask.read(GpusRequest)
    return ask.act(lambda client: client.drain_gpus(request.gpus, reason=request.reason))


@act(router, "POST", "/gpus/undrain", Sequence[GpuView], body=GpusRequest)
def undrain(ask: Asked) -> Response:
    """Let drained GPUs have jobs again."""
    request = ask.read(GpusRequest)
    return ask.act(lambda client: client.undrain_gpus(request.gpus))


@act(router, "POST", "/gpus/quarantine", Sequence[GpuView], body=GpusRequest)
def quarantine(ask: Asked) -> Response:
    """Take GPUs out of use because something is wrong with them."""
    request = ask.read(GpusRequest)
    return ask.act(lambda client: client.quarantine_gpus(request.gpus, reason=request.reason))


@act(router, "POST", "/gpus/release", Sequence[GpuView], body=GpusRequest)
def release(ask: Asked) -> Response:
    """Give quarantined GPUs back once they are repaired."""
    request = ask.read(GpusRequest)
    return ask.act(lambda client: client.release_gpus(request.gpus))


@get(router, "/hosts", Sequence[HostView])
def list_hosts(ask: Asked) -> Response:
    """All hosts and whose workers are alive."""
    return ask.look(lambda client: client.list_hosts())


@act(router, "DELETE", "/hosts/{name}", None)
def remove_host(ask: Asked, name: Annotated[str, Path(description="the host's name")]) -> Response:
    """Forget a host that is gone, and its GPUs."""
    return ask.act(lambda client: client.remove_host(name))
