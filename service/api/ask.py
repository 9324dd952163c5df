"""One request: who sends it, what is in it, and the answer to it."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.responses import Response

from cnnctl.views.codec import to_json
from service.api.bodies import read_body
from service.api.limits import Shares
from service.api.who import Gatekeeper
from service.client.local import LocalClient
from service.commands.people.once import do_once
from service.domain.people import Actor
from service.errors import SpecError
from service.settings import Settings
from service.store.transaction import Store

View = TypeVar("View")
MOST_PLAIN_BYTES = 1024  # what is longer is compressed, where the client takes it


class Service:
    """What all requests share."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.secure = bool(settings.api_certificate)
        # A browser keeps a cookie of the first name for this host alone, and sends it over TLS alone.
        self.cookie = "__Host-cnnctl" if self.secure else "cnnctl"
        self.shares = Shares()
        self.gatekeeper = Gatekeeper(store, cookie=self.cookie, per_second=settings.api_requests_per_second)


class Ask:
    """A request, for the one thread that answers it."""

    def __init__(self, request: Request, body: bytes) -> None:
        self.request = request
        self._body = body
        self.service: Service = request.app.state.service

    def get_actor(self) -> Actor:
        """Who sends it; see `Gatekeeper.get_actor`."""
        _check_query(self.request)
        return self.service.gatekeeper.get_actor(self.request)

    def find_actor(self) -> Actor:
        """Who sends it, once more; see `Gatekeeper.find_actor`."""
        return self.service.gatekeeper.find_actor(self.request)

    @property
    def body(self) -> bytes:
        """What was sent, as it is."""
        return self._body

    @property
    def key(self) -> str | None:
        """The Idempotency-Key, where the client sent one."""
        return self.request.headers.get("idempotency-key")

    def read(self, view: type[View]) -> View:
        """What was sent; see `read_body`."""
        return read_body(view, self._body)[0]

    def read_changes(self, view: type[Any]) -> Mapping[str, Any]:
        """Only the fields that were given; see `read_body`."""
        found, given = read_body(view, self._body)
        return {name: getattr(found, name) for name in given}

    def look(self, get: Callable[[LocalClient], Any]) -> Response:
        """Answer with what the client gives."""
        actor = self.get_actor()
        with self.service.shares.take(actor.name):
            client = LocalClient(self.service.store, self.service.settings, actor)
            return self._answer(_to_text(get(client)), status=200)

    def act(self, do: Callable[[LocalClient], Any], *, status: int = 200, once: bool = True) -> Response:
        """Do something, once for each Idempotency-Key, and answer with what the client gives.

        Not `once`: `do` minds the key itself, or there is no need. So for answers with a secret, which is
        kept nowhere, and for acts that a second time find nothing left to do.
        """
        actor = self.get_actor()
        with self.service.shares.take(actor.name):
            return self._act(actor, do, status=status, once=once)

    def _act(self, actor: Actor, do: Callable[[LocalClient], Any], *, status: int, once: bool) -> Response:
        settings, store = self.service.settings, self.service.store
        key = self.key
        if key is None or not once:
            return self._answer(_to_text(do(LocalClient(store, settings, actor))), status=status)

        def answer(joined: Store) -> str:
            return _to_text(do(LocalClient(joined, settings, actor)))

        text = do_once(store, actor.name, key, digest=self._digest(), act=answer)
        return self._answer(text, status=status)

    def _digest(self) -> str:
        """Of what is asked, so that a key is taken for one request only."""
        what = f"{self.request.method} {self.request.url.path}\n".encode() + self._body
        return hashlib.sha256(what).hexdigest()

    def _answer(self, text: str, *, status: int) -> Response:
        content = text.encode()
        if text == "null":
            return Response(status_code=204)
        headers = {"Cache-Control": "no-store"}
        if self.request.method == "GET":
            tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
            headers |= {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Cookie"}
            if tag in self.request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
        if len(content) > MOST_PLAIN_BYTES and "gzip" in self.request.headers.get("accept-encoding", ""):
            content = gzip.compress(content, compresslevel=3)
            headers["Content-Encoding"] = "gzip"
        return Response(content, status, headers, "application/json")


async def _make_ask(request: Request) -> Ask:
    return Ask(request, await request.body())


Asked = Annotated[Ask, Depends(_make_ask)]


def _to_text(value: Any) -> str:
    return json.dumps(to_json(value), allow_nan=False)


def _list_parameters(dependant: Any) -> Iterator[str]:
    """The names of the query parameters of a route and of what it depends on."""
    for parameter in dependant.query_params:
        yield parameter.alias
    for inner in dependant.dependencies:
        yield from _list_parameters(inner)


def _check_query(request: Request) -> None:
    """Refuse a parameter that the route does not know: it would have no effect.

    Raises:
        SpecError: naming those that there are.
    """
    known = list(_list_parameters(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            raise SpecError(f"There is no parameter {name!r} here. Allowed: {', '.join(known) or 'none'}")
