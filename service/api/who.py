"""Who sends a request: by the socket's peer, a token, or a browser's session, in this order."""

import hmac
from collections.abc import Mapping

from starlette.requests import Request

from service.api.limits import RateLimit
from service.api.peer import PEER, Peer
from service.commands.people.credentials import HOW_TO_GET_ONE, get_actor
from service.commands.people.identity import actor_of_peer
from service.commands.people.sightings import Sightings
from service.domain.people import Actor
from service.domain.states import CredentialKind
from service.errors import NotAllowed, NotAuthenticated
from service.process import are_users_proven
from service.store.transaction import Store

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
UNKNOWN = "an unknown client at "


class Gatekeeper:
    """Knows the person behind each request, or refuses it."""

    def __init__(self, store: Store, *, cookie: str, per_second: float) -> None:
        self._store = store
        self._cookie = cookie
        self._proven = are_users_proven()
        self._seen = Sightings(store)
        self._limit = RateLimit(per_second=per_second)

    def get_actor(self, request: Request) -> Actor:
        """Who sends a request.

        Raises:
            NotAuthenticated: nobody can be known.
            NotAllowed: another site's page let the browser send it.
            TooManyRequests: they send too many.
        """
        try:
            actor = self.find_actor(request)
        except NotAuthenticated:
            self.count_unknown(request)
            raise
        self._limit.take(actor.name)
        return actor

    def count_unknown(self, request: Request) -> None:
        """Count a request of which nobody says who sends it.

        Raises:
            TooManyRequests: too many come from there.
        """
        self._limit.take(UNKNOWN + (_origin_of(request) or "the socket"))

    def find_actor(self, request: Request) -> Actor:
        """The same without counting, for an answer that goes on for long.

        Raises:
            NotAuthenticated, NotAllowed: as `get_actor`.
        """
        origin = _origin_of(request)
        peer: Peer | None = request.scope.get(PEER)
        if peer is not None:
            actor = actor_of_peer(self._store, peer.uid, proven=self._proven)
            self._seen.see(actor.name, uid=peer.uid)
            return actor
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return get_actor(self._store, CredentialKind.TOKEN, token.strip(), origin=origin)
        session = request.cookies.get(self._cookie)
        if session:
            if request.method not in SAFE_METHODS:
                check_same_site(request.headers)
            return get_actor(self._store, CredentialKind.SESSION, session, origin=origin)
        raise NotAuthenticated(f"The service does not know who asks. {HOW_TO_GET_ONE}")


def _origin_of(request: Request) -> str:
    return request.client.host if request.client else ""


def check_same_site(headers: Mapping[str, str]) -> None:
    """Refuse what a page of another site made a browser send.

    Raises:
        NotAllowed: neither Sec-Fetch-Site nor Origin says that it was our own page.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        ours = site in ("same-origin", "none")
    else:
        origin = headers.get("origin", "")
        ours = hmac.compare_digest(origin.partition("://")[2].encode(), headers.get("host", "").encode())
    if not ours:
        raise NotAllowed("A page of another site sent this request. Only the service's own pages may")
