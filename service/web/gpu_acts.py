"""What the buttons of the page of hosts and GPUs do."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from service.api.ask import Asked
from service.client.local import LocalClient
from service.errors import NotFound
from service.web.acting import act
from service.web.answer import PageRoute
from service.web.gpus_page import DAY, list_acts, read_hours

router = APIRouter(route_class=PageRoute, include_in_schema=False)

ACTS: Mapping[str, Callable[[LocalClient, Sequence[str], str], object]] = {
    "drain": lambda client, gpus, reason: client.drain_gpus(gpus, reason=reason),
    "undrain": lambda client, gpus, _: client.undrain_gpus(gpus),
    "quarantine": lambda client, gpus, reason: client.quarantine_gpus(gpus, reason=reason),
    "release": lambda client, gpus, _: client.release_gpus(gpus),
}


@router.post("/gpus/remove")
def remove_host(ask: Asked) -> Response:
    """Forget a host that is gone."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        client.remove_host(form.get("host", ""))
        return _address_of(form)

    return act(ask, do)


@router.post("/gpus/{name}")
def change_gpus(ask: Asked, name: str) -> Response:
    """Do one of `ACTS` to a GPU, or to those of a host to which it can be done."""
    if name not in ACTS:
        raise NotFound(f"There is no act {name[:40]!r}")

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        ACTS[name](client, _list_chosen(client, form, name), form.get("reason", ""))
        return _address_of(form)

    return act(ask, do)


def _list_chosen(client: LocalClient, form: Mapping[str, str], name: str) -> Sequence[str]:
    if gpu := form.get("gpu"):
        return [gpu]
    host = form.get("host", "")
    found = [gpu.uuid for gpu in client.list_gpus() if gpu.host == host and name in list_acts(gpu)]
    return found or [host]  # of which the use case says why nothing can be done


def _address_of(form: Mapping[str, str]) -> str:
    hours = read_hours(form.get("hours", DAY))
    return f"/gpus?hours={hours}#{quote(form.get('at', ''))}"
