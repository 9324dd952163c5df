"""Connections that waste the service's memory, descriptors or time are cut, and others notice nothing."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from service.api import peer
from service.api.peer import MOST_CONNECTIONS, MOST_HEAD_BYTES, PeerProtocol
from service.api.server import Server, open_port
from tests.api.conftest import Api

WAIT_SECONDS = 20.0


@contextlib.contextmanager
def connect(api: Api) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", api.port), timeout=WAIT_SECONDS) as client:
        yield client


def is_cut(client: socket.socket) -> bool:
    """Whether the service ends a connection, within the time that a receiver waits."""
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        return True
    return True


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /api/v1/version HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
        b"GET /",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
    ids=["header", "url", "trailer"],
)
def test_a_head_without_an_end_is_cut(shared_api: Api, begin: bytes) -> None:
    with connect(shared_api) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(begin)
            for _ in range(100):  # far more than the buffers on the way hold
                client.sendall(b"x" * MOST_HEAD_BYTES * 8)
            pytest.fail("all was taken")
    assert shared_api.client().get_version().version


@pytest.mark.parametrize(
    "begin", [b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"], ids=repr
)
def test_a_request_that_does_not_come_to_its_end_is_cut(
    monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(peer, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(peer, "BODY_SECONDS", 0.2)
    listening = open_port("127.0.0.1:0")
    config = uvicorn.Config(_read_all, http=PeerProtocol, lifespan="off", log_config=None)
    server = Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listening]),))
    thread.start()
    try:
        with socket.create_connection(listening.getsockname(), timeout=WAIT_SECONDS) as client:
            client.sendall(begin)
            assert is_cut(client)
    finally:
        server.should_exit = True
        thread.join()


async def _read_all(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass


def test_nobody_has_more_connections_than_a_share_and_others_come_in(shared_api: Api) -> None:
    with contextlib.ExitStack() as many:
        for _ in range(MOST_CONNECTIONS):
            many.enter_context(connect(shared_api))
        with connect(shared_api) as one_more:
            assert is_cut(one_more)
        assert shared_api.client().get_version().version


def test_a_long_head_is_taken(shared_api: Api) -> None:
    with connect(shared_api) as client:
        head = b"GET /api/v1/version HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + b"x" * (MOST_HEAD_BYTES // 2)
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
