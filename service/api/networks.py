"""The routes of networks: what can be named in a submission, and what a network costs."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from cnnctl.views.networks import CatalogEntry, NetworkView, SpecField
from cnnctl.views.requests import NetworkRequest
from service.api.ask import Asked
from service.api.declare import act, get

router = APIRouter(tags=["networks"])


@get(router, "/catalog/{section}", Sequence[CatalogEntry])
def list_catalog(
    ask: Asked, section: Annotated[str, Path(description="what of, as in `architectures`")]
) -> Response:
    """What can be named in a submission."""
    return ask.look(lambda client: client.list_catalog(section))


@get(router, "/spec-fields", Sequence[SpecField])
def list_spec_fields(ask: Asked) -> Response:
    """The fields of a spec: those of all networks, then those of single ones."""
    return ask.look(lambda client: client.list_spec_fields())


@act(router, "POST", "/networks/{architecture}", NetworkView, body=NetworkRequest)
def describe_network(
    ask: Asked, architecture: Annotated[str, Path(description="the network, as in `alexnet`")]
) -> Response:
    """What a network costs, layer by layer; it changes nothing."""
    request = ask.read(NetworkRequest)
    return ask.act(lambda client: client.describe_network(architecture, request), once=False)
