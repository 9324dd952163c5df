"""Refuses requests that are too large, or meant for another server, before anybody reads them."""

from collections.abc import Collection
from typing import Any

from service.api.peer import PEER
from service.api.problems import answer_problem
from service.errors import NotAllowed, TooLarge

MOST_BODY_BYTES = 1024 * 1024
MOST_PIECE_BYTES = 8 * 1024 * 1024  # of an upload, or of a form with a small one
FORM_WITH_FILE = "multipart/form-data"


class Guard:
    """Stands before an ASGI app."""

    def __init__(self, app: Any, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        has_file = scope["method"] == "PUT" or headers.get(b"content-type", "").startswith(FORM_WITH_FILE)
        most = MOST_PIECE_BYTES if has_file else MOST_BODY_BYTES
        problem = self._find_problem(scope, headers, most)
        if problem is None:
            try:
                await self._app(scope, _count(receive, most), send)
            except TooLarge as error:
                problem = error
        if problem is not None:
            await answer_problem(problem)(scope, receive, send)

    def _find_problem(self, scope: Any, headers: dict[bytes, str], most: int) -> NotAllowed | TooLarge | None:
        # A page elsewhere could give its own name this machine's address, and so read as this machine.
        if scope.get(PEER) is None and _name(headers.get(b"host", "")) not in self._hosts:
            return NotAllowed("The API has other names. Whoever runs it lists them: CNNCTL_API_HOSTS")
        length = headers.get(b"content-length", "0")
        if length.isdecimal() and int(length) > most:
            return _too_large(most)
        return None


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _count(receive: Any, most: int) -> Any:
    """The same messages, up to the most that a body may have: its length may not have been said."""
    got = 0

    async def counting() -> Any:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > most:
            raise _too_large(most)
        return message

    return counting


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"This request may have at most {most:,} bytes")
