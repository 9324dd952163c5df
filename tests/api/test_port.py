"""The port of the API answers at once on a connection that is kept."""

import socket
from contextlib import closing

from service.api.server import open_port


def test_a_connection_sends_what_is_written_at_once() -> None:
    """Else the second part of an answer waits until the client has acknowledged the first one: 40 ms."""
    with closing(open_port("127.0.0.1:0")) as listening:
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
