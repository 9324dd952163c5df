"""Posts a JSON object to a webhook: to a checked address, and within one deadline."""

import http.client
import io
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from service.domain.hooks import may_be_reached
from service.notify.undelivered import Undelivered

SECONDS = 20.0
LOOKED_UP = tuple[int, tuple[Any, ...]]  # what a socket needs to connect: family and address

# The first match counts. An answer may come from somebody else's service, so none of it is quoted.
_WORDS: Mapping[type[Exception], str] = {
    TimeoutError: "no answer within {seconds:g} s",
    socket.gaierror: "its name cannot be resolved",
    ssl.SSLCertVerificationError: "its certificate is not valid for it",
    ssl.SSLError: "the TLS connection to it failed",
    OSError: "the connection to it failed or broke",
    http.client.HTTPException: "its answer is not valid HTTP",
    ValueError: "it is not a usable web address",
}


def post(
    document: Mapping[str, Any], url: str, *, allowed: Collection[str], seconds: float = SECONDS
) -> None:
    """Post a document; `allowed` names the private hosts that may be reached.

    The name is resolved once, and the connection goes to the address that was checked. A redirect is not
    followed: the POST would arrive as a GET, at an address that nobody has checked.

    Raises:
        Undelivered: the address is not allowed, or no answer below 300 came in time.
    """
    try:
        status = _post(json.dumps(document).encode(), url, allowed, _Deadline(seconds))
    except tuple(_WORDS) as error:
        words = next(words for kind, words in _WORDS.items() if isinstance(error, kind))
        raise Undelivered(words.format(seconds=seconds), detail=repr(error)) from error
    if status >= 300:
        raise Undelivered(
            f"the server answered {status}" + (", a redirect, which is not followed" * (status < 400))
        )


class _Deadline:
    """The time by which the whole delivery must be done."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def seconds_left(self) -> float:
        """
        Raises:
            TimeoutError: none are.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Wire(io.RawIOBase):
    """The connection that http.client uses; an answer of one byte per second does not move the deadline."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._in_time().send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._in_time().recv_into(buffer)

    def close(self) -> None:
        """Do nothing: http.client closes the connection and then reads from it; `_post` closes it."""

    def _in_time(self) -> socket.socket:
        self._socket.settimeout(self._deadline.seconds_left())
        return self._socket


def _post(body: bytes, url: str, allowed: Collection[str], deadline: _Deadline) -> int:
    """Post the body and return the status of the answer."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connected = _connect(host, port, allowed, deadline)
    with closing(connected):
        if secure:
            connected.settimeout(deadline.seconds_left())
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
        with closing(connected):
            connection = http.client.HTTPConnection(host, port)
            connection.sock = _Wire(connected, deadline)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            headers = {"Host": parts.netloc, "Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", target, body, headers)
            return connection.getresponse().status


def _connect(host: str, port: int, allowed: Collection[str], deadline: _Deadline) -> socket.socket:
    """Connect to the first allowed address of a host that responds."""
    found = _resolve(host, port, deadline)
    reachable = [(family, address) for family, address in found if may_be_reached(host, address[0], allowed)]
    if not reachable:
        raise Undelivered(
            "its address is private and CNNCTL_WEBHOOK_HOSTS does not allow it", detail=str(found)
        )
    for family, address in reachable:
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.settimeout(deadline.seconds_left())
            connected.connect(address)
            return connected
        except OSError as error:
            connected.close()
            failure = error
    raise failure


def _resolve(host: str, port: int, deadline: _Deadline) -> list[LOOKED_UP]:
    """Look up a name in a thread of its own: the system's resolver has no deadline."""
    answers: queue.SimpleQueue[list[LOOKED_UP] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(family, address) for family, _, _, _, address in found])
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="resolver").start()
    try:
        answer = answers.get(timeout=deadline.seconds_left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer
