"""Tells who is at the other end of a unix socket: the kernel says so when a connection is made."""

import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER = "cnnctl.peer"  # in the scope of each request; None of a TCP client
TRANSPORT = "cnnctl.transport"
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A process of this machine."""

    pid: int
    uid: int


class PeerProtocol(HttpToolsProtocol):
    """HTTP whose requests know the peer of their connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        app, more = self.app, {PEER: _find_peer(transport.get_extra_info("socket")), TRANSPORT: transport}

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, **more}, receive, send)

        self.app = with_peer


def _find_peer(connection: socket.socket) -> Peer | None:
    if connection.family != socket.AF_UNIX:
        return None
    pid, uid, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Peer(pid=pid, uid=uid)
