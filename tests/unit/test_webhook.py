"""A webhook goes where it may, in time, and what the other side says is told to nobody."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from service.domain.hooks import may_be_reached
from service.notify.undelivered import Undelivered
from service.notify.webhook import post
from tests.receiver import Receiver

LOCAL = ["127.0.0.1"]
NAME = "hooks.example"
TLS = b"\x16\x03"  # how a handshake begins


class RawServer:
    """Says to who connects what it is told to, byte by byte for ever, and keeps what it hears."""

    def __init__(self, first: bytes, again: bytes = b"") -> None:
        self.alive = b""
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(first, again))
        self._thread.start()

    def _serve(self, first: bytes, again: bytes) -> None:
        with suppress(OSError), closing(self._socket.accept()[0]) as client:
            while not self.alive.endswith(b"}") and not self.alive.startswith(TLS):
                self.alive += client.recv(4096)
            client.sendall(first)
            while again and not self._stop.wait(0.02):
                client.sendall(again)

    def close(self) -> None:
        self._stop.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(first: bytes, again: bytes = b"") -> RawServer:
        servers.append(RawServer(first, again))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A resolver that knows `hooks.example` as this machine; the names that it was asked for."""
    asked: list[str] = []
    ask = socket.getaddrinfo

    def resolve(host: str, *words: object, **more: object) -> object:
        asked.append(host)
        return ask("127.0.0.1" if host == NAME else host, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def words_of(url: str, *, allowed: list[str] = LOCAL, seconds: float = 5.0) -> str:
    with pytest.raises(Undelivered) as caught:
        post({"job": 1}, url, allowed=allowed, seconds=seconds)
    return str(caught.value)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X"),  # a header that never ends
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"."),
    ],
)
def test_an_answer_of_a_byte_now_and_then_ends_at_the_deadline(
    serve: Callable[..., RawServer], first: bytes, again: bytes
) -> None:
    started = time.monotonic()
    words = words_of(f"http://127.0.0.1:{serve(first, again).port}/", seconds=0.5)
    assert time.monotonic() - started < 2
    assert words == "no answer within 0.5 s"


def test_a_name_that_nobody_resolves_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(30) and [])
    started = time.monotonic()
    assert words_of("http://hooks.example/", seconds=0.2) == "no answer within 0.2 s"
    assert time.monotonic() - started < 2
    ended.set()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-secret_1.2\r\n", "its answer is not valid HTTP"),
        (b"HTTP/1.1 500 secret\r\n\r\nsecret", "the server answered 500"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://secret/\r\n\r\n",
            "the server answered 302, a redirect, which is not followed",
        ),
        (b"", "the connection to it failed or broke"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, "its answer is not valid HTTP"),
    ],
)
def test_what_a_server_says_is_told_to_nobody(
    serve: Callable[..., RawServer], answer: bytes, words: str
) -> None:
    assert words_of(f"http://127.0.0.1:{serve(answer).port}/") == words


def test_a_name_is_resolved_once_and_refused_where_it_is_an_address_inside(
    resolved: list[str], receiver: Receiver
) -> None:
    url = receiver.url.replace("127.0.0.1", NAME)
    assert words_of(url, allowed=[]) == "its address is private and CNNCTL_WEBHOOK_HOSTS does not allow it"
    assert resolved == [NAME]
    assert receiver.received.empty()
    post({"job": 1}, url, allowed=[NAME])
    assert resolved == [NAME, NAME]
    assert receiver.received.get(timeout=10) == {"job": 1}
    assert receiver.hosts == [url.split("/")[2]]


def test_tls_is_spoken_with_the_name_and_not_with_the_address(
    serve: Callable[..., RawServer], resolved: list[str]
) -> None:
    server = serve(b"not TLS")
    assert words_of(f"https://{NAME}:{server.port}/", allowed=[NAME]) == "the TLS connection to it failed"
    assert NAME.encode() in server.alive


@pytest.fixture
def secured(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a server with a certificate for `hooks.example`, which this machine trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    pair, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += [
        "-subj",
        "/CN=test",
        "-addext",
        f"subjectAltName=DNS:{NAME}",
        "-keyout",
        str(key),
        "-out",
        str(pair),
    ]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair, key)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(pair))
    return receiver.url.replace("http:", "https:")


def test_a_certificate_has_to_be_that_of_the_name(
    secured: str, resolved: list[str], receiver: Receiver
) -> None:
    post({"job": 1}, secured.replace("127.0.0.1", NAME), allowed=[NAME])
    assert receiver.received.get(timeout=10) == {"job": 1}
    assert words_of(secured) == "its certificate is not valid for it"
    assert receiver.received.empty()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_what_is_inside_is_reached_only_where_it_is_allowed(address: str) -> None:
    assert not may_be_reached(NAME, address, [])
    assert may_be_reached(NAME, address, [NAME])
    assert may_be_reached(NAME, address, ["other", address])


def test_what_is_outside_is_reached() -> None:
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
        assert may_be_reached(NAME, address, [])
