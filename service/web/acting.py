"""Does what a form asks, then shows a page."""

import hashlib
from collections.abc import Callable, Mapping

from starlette.responses import RedirectResponse, Response

from service.api.ask import Ask
from service.client.local import LocalClient
from service.commands.people.once import do_once
from service.store.transaction import Store
from service.web.answer import read_form

Act = Callable[[LocalClient, Mapping[str, str]], str]
"""Gets what was filled in; the address of the page that is shown next."""


def act(ask: Ask, do: Act) -> Response:
    """Do it, once for each `key` that a form sends.

    Raises:
        CnnctlError: whatever the use case refuses; see also `Ask.get_actor`.
    """
    actor, form, service = ask.get_actor(), read_form(ask), ask.service

    def answer(store: Store) -> str:
        return do(LocalClient(store, service.settings, actor), form)

    with service.shares.take(actor.name):
        if key := form.get("key"):
            digest = hashlib.sha256(ask.request.url.path.encode() + ask.body).hexdigest()
            shown_next = do_once(service.store, actor.name, key, digest=digest, act=answer)
        else:
            shown_next = answer(service.store)
    return RedirectResponse(shown_next, status_code=303)
