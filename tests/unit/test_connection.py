"""A client asks again while the service is away, for as long as that lasts, within bounds."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

import pytest

from cnnctl.connection import Connection
from cnnctl.errors import ServiceUnavailable
from cnnctl.http_client import HttpClient
from cnnctl.views.access import AuditView
from cnnctl.views.codec import to_json

BUSY_SECONDS, RETRY_SECONDS = 0.3, 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
EVENTS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nevent: position\ndata: 4\n\n"
AWAY = {"type": "urn:cnnctl:database-unavailable", "status": 503, "detail": "It cannot be used"}
PROBLEM = f"event: problem\ndata: {json.dumps(AWAY)}\n\n".encode()
ENTRY = AuditView(
    entry=5,
    at=datetime(2026, 11, 1, tzinfo=timezone.utc),
    actor="ada",
    via="socket",
    origin="",
    action="cancelled",
    subject="job",
    name="1",
    job=1,
    detail="",
    before={},
    after={},
)


@contextmanager
def answer(*answers: bytes) -> Iterator[str]:
    """The URL of a service with one answer a connection, after a while; an empty one breaks it off."""

    def serve() -> None:
        for text in answers:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                time.sleep(BUSY_SECONDS)
                connection.sendall(text)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_a_long_answer_that_breaks_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time begins when the service goes away, not when it was asked."""
    monkeypatch.setattr("cnnctl.connection.RETRY_SECONDS", RETRY_SECONDS)
    with answer(b"", ANSWER) as url:
        assert Connection.at(url, token="").act("POST", "jobs") == {}


def test_a_service_that_stays_away_is_asked_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnctl.connection.RETRY_SECONDS", RETRY_SECONDS)
    with answer() as url:
        pass
    with pytest.raises(ServiceUnavailable, match="does not answer: Connection refused"):
        Connection.at(url, token="").act("POST", "jobs")


def test_a_stream_that_ends_with_a_problem_is_listened_to_again() -> None:
    """As when the database is away while the service looks what a client has missed."""
    told = f"id: 5\nevent: audit\ndata: {json.dumps(to_json(ENTRY))}\n\n".encode()
    with answer(EVENTS + PROBLEM, EVENTS + told) as url:
        assert next(HttpClient.at(url, token="").follow_events()) == ENTRY


@pytest.mark.parametrize("came", [b"", b'{"version"'])
def test_an_answer_that_a_kill_has_cut_off_is_asked_for_again(came: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n"
    with answer(head + came, head + b'{"version": "1.0"}') as url:
        assert HttpClient.at(url, token="").get_version().version == "1.0"
