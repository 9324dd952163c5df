"""One connection of the API: who is at its other end, and what it may cost.

On a unix socket the kernel says who it is when the connection is made. uvicorn limits neither how long a
request's head is nor how long it takes, so anybody who reaches the port could fill memory and descriptors.
"""

import resource
import socket
import struct
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER = "cnnctl.peer"  # in the scope of each request; None of a TCP client
TRANSPORT = "cnnctl.transport"
MOST_CONNECTIONS = 500  # of one user of this machine, or of one address
MOST_HEAD_BYTES = 64 * 1024  # the request's line and its headers
MOST_MESSAGE_BYTES = 32 * 1024 * 1024  # a request as it is sent, which may be longer than its body
HEAD_SECONDS = 30.0
BODY_SECONDS = 600.0  # a piece of an upload comes over a slow line, too
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A process of this machine."""

    pid: int
    uid: int


class PeerProtocol(HttpToolsProtocol):
    """HTTP whose requests know the peer of their connection, and have bounds."""

    source: object = None  # the user or the address at the other end

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = _find_peer(transport.get_extra_info("socket"))
        more = {PEER: peer, TRANSPORT: transport}
        app = self.app

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, **more}, receive, send)

        self.app = with_peer
        self.source = peer.uid if peer else (self.client or [""])[0]
        self._timer: TimerHandle | None = None
        self._expect_head()
        same = [other for other in self.connections if getattr(other, "source", None) == self.source]
        if len(same) > MOST_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        most = MOST_HEAD_BYTES if self._in_head else MOST_MESSAGE_BYTES
        if self._received > most:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._set_timer(BODY_SECONDS)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._received = 0
        self._set_timer(None)

    def _expect_head(self) -> None:
        self._in_head, self._received = True, 0
        self._set_timer(HEAD_SECONDS)

    def _set_timer(self, seconds: float | None) -> None:
        """Cut the connection after so long; None: not any more."""
        if self._timer:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


def raise_descriptor_limit() -> None:
    """Let this process have as many connections and files open as its administrator allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _find_peer(connection: socket.socket) -> Peer | None:
    if connection.family != socket.AF_UNIX:
        return None
    pid, uid, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Peer(pid=pid, uid=uid)
