"""Talks HTTP to the API, over a unix socket or TCP, and makes errors of its problems.

Each act carries a key by which the service does it once, however often it is sent. So what was perhaps lost
is sent again until the time is up.
"""

import json
import re
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import cnnctl.errors
from cnnctl.errors import (
    CnnctlError,
    NotAuthenticated,
    OtherVersion,
    ServiceUnavailable,
    SpecError,
    TooManyRequests,
)
from cnnctl.views.codec import from_json

View = TypeVar("View")

PREFIX = "/api/v1"
ANSWER_SECONDS = 60.0
RETRY_SECONDS = 10.0  # a few restarts of the API, each of which takes 1 to 3 s where others use the cores
PAUSE_SECONDS = 0.2
AWAY = (502, 503, 504)
FINAL = (TimeoutError, ssl.SSLCertVerificationError)  # who did not answer in a minute will not in the next
BUSY_SECONDS = 60.0  # in which requests are sent again that the service refuses as too many
MOST_ANSWER_BYTES = 256 * 1024 * 1024  # of a document; far more than any has
LARGEST_EXIT_CODE = 125  # beyond that, shells have a meaning of their own
_ERRORS = {
    error.problem_type(): error
    for error in vars(cnnctl.errors).values()
    if isinstance(error, type) and issubclass(error, CnnctlError)
}


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("cnnctl", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Connection:
    """Requests to one API."""

    def __init__(self, open_connection: Callable[[], HTTPConnection], *, where: str, token: str) -> None:
        self._open = open_connection
        self._where = where
        self.report: Callable[[str], object] = lambda _: None
        """Is told that an answer takes longer, before the service is asked again."""
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def on_socket(cls, path: Path) -> "Connection":
        """Over the unix socket of the machine."""
        return cls(lambda: UnixConnection(path), where=str(path), token="")

    @classmethod
    def at(cls, url: str, *, token: str) -> "Connection":
        """To an address such as `https://gpu01.lab:8433`.

        Raises:
            SpecError: it is none.
            NotAuthenticated: the token has characters that none has.
        """
        if not re.fullmatch("[!-~]*", token):
            raise NotAuthenticated(
                "That is no token: one has letters, digits, - and _ alone. Another one: cnnctl token create"
            )
        host, port = _read_address(url)
        if url.startswith("https:"):
            context = ssl.create_default_context()
            return cls(
                lambda: HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=context),
                where=url,
                token=token,
            )
        return cls(lambda: HTTPConnection(host, port, timeout=ANSWER_SECONDS), where=url, token=token)

    def get(self, *path: object, **query: object) -> Any:
        """The document at a path; its words are quoted, and a query that is None is left out.

        Raises:
            CnnctlError: what the service answers; ServiceUnavailable where it does not.
        """
        return self._repeat("GET", _target(path, query), None, {})

    def get_once(self, view: type[View], *path: object) -> View:
        """The view at a path, asked for once.

        Raises:
            OSError, HTTPException: nobody answers.
            CnnctlError: what the service answers.
        """
        return read_view(view, self._ask("GET", _target(path, {}), None, {}, seconds=RETRY_SECONDS))

    def act(self, method: str, *path: object, body: object = None, seconds: float = ANSWER_SECONDS) -> Any:
        """Do something once, and return the document that the service answers; None where it has none.

        The answer may take so many seconds.

        Raises:
            CnnctlError: as above.
        """
        key = {"Idempotency-Key": uuid.uuid4().hex}
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        return self._repeat(method, _target(path, {}), content, {**kind, **key}, seconds=seconds)

    def put(self, *path: object, data: bytes, **query: object) -> Any:
        """Send bytes to where they may be sent twice, and return the document that the service answers.

        Raises:
            CnnctlError: as above.
        """
        kind = {"Content-Type": "application/octet-stream"}
        return self._repeat("PUT", _target(path, query), data, kind)

    @contextmanager
    def stream(self, *path: object, headers: Mapping[str, str], **query: object) -> Iterator[HTTPResponse]:
        """The answer to one GET, to be read in parts.

        Raises:
            CnnctlError: as above; OSError or HTTPException while it is read.
        """
        connection = self._open()
        try:
            connection.request("GET", _target(path, query), headers={**self._headers, **headers})
            with connection.getresponse() as response:
                if response.status >= 300:
                    raise self.read_problem(response.status, response.read(MOST_ANSWER_BYTES))
                yield response
        finally:
            connection.close()

    def explain_away(self, error: Exception) -> ServiceUnavailable:
        """What a person is told whom the service does not answer, or by what it says itself."""
        if isinstance(error, ServiceUnavailable):
            return error
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ServiceUnavailable(
            f"The service at {self._where} does not answer: {cause}. "
            "Try again when it is back. Whoever runs it can look: cnnctl doctor"
        )

    def _repeat(
        self,
        method: str,
        target: str,
        content: bytes | None,
        headers: Mapping[str, str],
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> Any:
        began = time.monotonic()
        deadline: float | None = None  # counted from the first failure: an answer may take longer than that
        while True:
            try:
                return self._ask(method, target, content, headers, seconds=seconds)
            except (OSError, HTTPException, ServiceUnavailable) as error:
                late = deadline is not None and time.monotonic() > deadline
                if late or isinstance(error, FINAL):
                    raise self.explain_away(error) from None
                if deadline is None:
                    deadline = time.monotonic() + RETRY_SECONDS
                    self.report(
                        f"The service at {self._where} does not answer. Asking for {RETRY_SECONDS:g} s …"
                    )
            except TooManyRequests:
                if time.monotonic() > began + BUSY_SECONDS:
                    raise
                time.sleep(1.0)
                continue
            time.sleep(PAUSE_SECONDS)

    def _ask(
        self, method: str, target: str, content: bytes | None, headers: Mapping[str, str], *, seconds: float
    ) -> Any:
        connection = self._open()
        connection.timeout = seconds
        try:
            connection.request(method, target, content, {**self._headers, **headers})
            with connection.getresponse() as response:  # else one that is not read to its end stays open
                answer = response.read(MOST_ANSWER_BYTES + 1)
                if response.length and len(answer) <= MOST_ANSWER_BYTES:  # read() itself does not mind
                    raise IncompleteRead(answer, response.length)
        finally:
            connection.close()
        if response.status >= 300:
            raise self.read_problem(response.status, answer)
        if not answer:
            return None
        if len(answer) > MOST_ANSWER_BYTES:
            raise OtherVersion(
                f"{self._where} answers with more than {MOST_ANSWER_BYTES:,} bytes: is it cnnctl?"
            )
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise OtherVersion(f"{self._where} answers something that is no JSON: is it cnnctl?") from None

    def read_problem(self, status: int, answer: bytes) -> CnnctlError:
        """The error that a problem stands for."""
        problem: Any = None
        with suppress(ValueError, RecursionError):
            problem = json.loads(answer)
        if not isinstance(problem, dict) or "detail" not in problem:
            if status in AWAY:
                return ServiceUnavailable(f"The service at {self._where} is away (HTTP status {status})")
            return OtherVersion(
                f"{self._where} answers with HTTP status {status}: is it cnnctl of this version?"
            )
        # A kind that is not known here: of the service alone, or of a newer one.
        other = ServiceUnavailable if problem.get("status") in AWAY else CnnctlError
        error = _ERRORS.get(str(problem.get("type")), other)(str(problem["detail"]))
        code = problem.get("exit_code")
        if type(code) is int and 0 < code <= LARGEST_EXIT_CODE:
            error.exit_code = code
        return error


def read_view(view: type[View], document: Any) -> View:
    """The view of what the service has answered.

    Raises:
        OtherVersion: it is not that view.
    """
    try:
        return from_json(view, document)
    except (TypeError, ValueError, AttributeError):
        raise OtherVersion(
            f"The service answers something that is no {view.__name__}: it has another version. "
            "Which one: cnnctl login"
        ) from None


def _read_address(url: str) -> tuple[str, int | None]:
    """The host and the port of a URL.

    Raises:
        SpecError: it is no http or https URL with a host.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # as of a port that is no number
        host = port = None
    if not host or parts.scheme not in ("http", "https") or not re.fullmatch("[!-~]+", host):
        raise SpecError(f"An address is written as in https://gpu01.lab:8433. Received: {url[:200]!r}")
    return host, port


def _target(path: tuple[object, ...], query: Mapping[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    words = "/".join(quote(str(word), safe="") for word in path)
    return f"{PREFIX}/{words}" + (f"?{urlencode(given, doseq=True)}" if given else "")
