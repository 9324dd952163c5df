"""Does what a form asks, then shows a page."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from service.api.ask import Ask
from service.client.local import LocalClient
from service.commands.people.once import do_once
from service.domain.people import Actor
from service.store.transaction import Store
from service.web.answer import list_fields, read_form

Act = Callable[[LocalClient, Mapping[str, str]], str]
"""Gets what was filled in; for `act`, the address of the page that is shown next."""


def make_key() -> str:
    """For a form that is sent once, however often it is clicked."""
    return secrets.token_urlsafe(12)


def act(ask: Ask, do: Act) -> Response:
    """Do it as `do_form` does, and show the page to which it leads."""
    return RedirectResponse(do_form(ask, do), status_code=303)


def do_form(ask: Ask, do: Act) -> str:
    """What it gives; done once for each `key` that a form sends, and then the same again.

    Raises:
        CnnctlError: whatever the use case refuses; see also `Ask.get_actor`.
    """
    actor, form = ask.get_actor(), read_form(ask)
    with ask.service.shares.take(actor.name):
        return do_by_key(ask, actor, form.get("key", ""), lambda client: do(client, form))


def do_by_key(ask: Ask, actor: Actor, key: str, do: Callable[[LocalClient], str]) -> str:
    """What an act gives; done once for each key, where there is one, and then the same again.

    Raises:
        CnnctlError: whatever the use case refuses, which is no answer: it is tried again.
    """
    service = ask.service

    def answer(store: Store) -> str:
        return do(LocalClient(store, service.settings, actor))

    if not key:
        return answer(service.store)
    # Of what the form says: the bytes of the same form with a file differ each time it is sent.
    said = ask.request.url.path + urlencode(list_fields(ask))
    digest = hashlib.sha256(said.encode()).hexdigest()
    return do_once(service.store, actor.name, key, digest=digest, act=answer)
