"""What the forms of the page of people do."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from cnnctl.views.requests import HookRequest, TokenRequest
from service.api.ask import Asked
from service.client.local import LocalClient
from service.domain.states import Occasion
from service.errors import SpecError
from service.web.acting import act, do_form, make_key
from service.web.address import is_number, read_number
from service.web.answer import PageRoute, answer, read_form, visit_of
from service.web.people_page import WEEK

router = APIRouter(route_class=PageRoute, include_in_schema=False)
NO_QUOTA = ("", "none")


def _read_float(text: str, *, said: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"{said}. Received: {text[:40]!r}") from None


def _read_quota(text: str) -> int | None:
    if text.strip() in NO_QUOTA:
        return None
    if not is_number(text):
        raise SpecError(f"A quota is a whole number, or nothing for none. Received: {text[:40]!r}")
    return int(text)


_FIELDS: Mapping[str, Callable[[str], Any]] = {
    "weight": partial(_read_float, said="The weight is a number"),
    "max_gpus": _read_quota,
    "max_queued": _read_quota,
    "may_use_high": bool,
    "administrator": bool,
}


@router.post("/people/change")
def change_user(ask: Asked) -> Response:
    """Change of a person what was changed in the form; what another has changed meanwhile stays."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        changes = {
            name: read(form.get(name, ""))
            for name, read in _FIELDS.items()
            if form.get(name, "") != form.get(f"was_{name}", "")
        }
        client.change_user(form.get("name", ""), changes)
        return f"/people?{urlencode({'since': form.get('since', WEEK)})}"

    return act(ask, do)


@router.post("/people/tokens")
def create_token(ask: Asked) -> Response:
    """Make a token; its secret is in this answer, and nowhere else: so it leads to no other page.

    Sent twice, as by a double click, the form makes one token. Who missed its secret gets another token
    `instead` of it.
    """
    visit, form, secrets = visit_of(ask), read_form(ask), []

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        if form.get("instead"):
            client.revoke_token(read_number(form["instead"], what="token"))
        secrets.append(client.create_token(_read_token(form)))
        return str(secrets[0].token)

    number = do_form(ask, do)
    made = secrets[0] if secrets else None
    return answer("new_token.html", me=visit.me, made=made, number=number, form=form, key=make_key())


def _read_token(form: Mapping[str, str]) -> TokenRequest:
    days = _read_float(form.get("days", ""), said="The days are a number")
    # The use cases refuse words that are none, here and below.
    return TokenRequest(name=form.get("name", ""), scope=form.get("scope", ""), days=days)  # type: ignore[arg-type]


@router.post("/people/tokens/revoke")
def revoke_token(ask: Asked) -> Response:
    """End a token at once."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        client.revoke_token(read_number(form.get("token", ""), what="token"))
        return "/people#tokens"

    return act(ask, do)


@router.post("/people/hooks")
def add_hook(ask: Asked) -> Response:
    """Tell an address of one's jobs from now on."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        channel, address = form.get("channel", ""), form.get("address", "").strip()
        on = [one.value for one in Occasion if f"on_{one.value}" in form]
        client.add_hook(HookRequest(channel=channel, address=address, on=on))  # type: ignore[arg-type]
        return "/people#hooks"

    return act(ask, do)


@router.post("/people/hooks/remove")
def remove_hook(ask: Asked) -> Response:
    """Tell nobody by this hook any more."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        client.remove_hook(read_number(form.get("hook", ""), what="hook"))
        return "/people#hooks"

    return act(ask, do)
