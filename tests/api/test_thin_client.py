"""The client meets servers that answer anything, and odd addresses and tokens: one sentence each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cnnctl import connection
from cnnctl.connection import Connection
from cnnctl.errors import CnnctlError, NotAuthenticated, OtherVersion, SpecError
from cnnctl.http_client import HttpClient
from cnnctl.lab import _visible
from cnnctl.views.jobs import JobFile
from service.cli.people.login import sends_openly
from tests.api.conftest import Api
from tests.api.lying_server import serving
from tests.stack import ROOT

PROBLEM = {"type": "urn:cnnctl:not-allowed", "detail": "no"}


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"name": 1}', b"7", b'"x"', b"<html>", b"\xff", b"[" * 100_000],
    ids=lambda body: repr(body[:9]),
)
@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_an_answer_that_is_none_of_ours_is_another_version(body: bytes, status: int) -> None:
    with serving(body, status=status) as url:
        client = HttpClient.at(url, token="")
        with pytest.raises(OtherVersion):
            client.get_me()
        if body != b"[]" or status != 200:
            with pytest.raises(OtherVersion):
                client.list_gpus()
        with pytest.raises(OtherVersion):
            client.list_jobs()


@pytest.mark.parametrize("code", [None, "x", 1e999, [], 10**30, -1, 0, True], ids=repr)
def test_an_exit_code_that_is_none_is_the_errors_own(code: object) -> None:
    with serving(json.dumps({**PROBLEM, "exit_code": code}).encode(), status=403) as url:
        with pytest.raises(CnnctlError, match="no") as caught:
            HttpClient.at(url, token="").get_me()
        assert caught.value.exit_code == 5


def test_an_answer_without_an_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_ANSWER_BYTES", 1024 * 1024)
    for status in (200, 500):
        with serving(b" " * 65536, status=status, endless=True) as url, pytest.raises(OtherVersion):
            HttpClient.at(url, token="").get_me()


@pytest.mark.parametrize(
    "body",
    [
        b"event: audit\ndata: {}\n\n",
        b"event: audit\ndata: x\n\n",
        b"event: position\ndata: x\n\n",
    ],
    ids=repr,
)
def test_a_stream_that_is_none_is_another_version(body: bytes) -> None:
    with serving(body, endless=True) as url, pytest.raises(OtherVersion):
        next(HttpClient.at(url, token="").follow_events())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gpu01.lab:8433",
        "ftp://gpu01",
        "https://",
        "http://x:port",
        "http://x:99999",
        "http://[::1",
        "http://a b",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Without its `https://` the host was taken for the scheme, and the token went to this machine."""
    with pytest.raises(SpecError, match="https://"):
        Connection.at(url, token="secret")


@pytest.mark.parametrize("token", ["a\nX-Header: b", "é", "a b", "\x00"])
def test_a_token_that_no_header_takes_is_none(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        Connection.at("https://gpu01.lab", token=token)


def test_a_download_without_a_digest_begins_anew(tmp_path: Path) -> None:
    """What lies there may be of the attempt before, or of another service."""
    target = tmp_path / "log"
    (tmp_path / ".log.part").write_bytes(b"old ")
    with serving(b"all of it") as url:
        file = JobFile(name="trainer.log", bytes=9, digest=None)
        list(HttpClient.at(url, token="").download(1, file, target))
    assert target.read_bytes() == b"all of it"


def test_what_others_write_does_nothing_in_a_terminal() -> None:
    assert _visible("loss\x1b]0;x\x07 is\r\nnan\u202e") == r"loss\x1b]0;x\x07 is\r\nnan\u202e"


def test_a_command_over_the_socket_imports_nothing_heavy(shared_api: Api) -> None:
    code = (
        "import sys; from service.cli.main import main\n"
        "try: main(['status'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'sqlalchemy', 'celery', 'fastapi', 'starlette', 'pydantic', 'uvicorn', 'psycopg'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PATH": "",
            "CNNCTL_SOCKET": str(shared_api.socket),
            "PYTHONPATH": str(ROOT),
            "HOME": "/nowhere",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("url", "openly"),
    [
        ("http://gpu01.lab:8433", True),
        ("http://192.168.1.5", True),
        ("https://gpu01.lab:8433", False),
        ("http://127.0.0.1:8433", False),
        ("http://localhost:8433", False),
        ("http://[::1]:8433", False),
    ],
)
def test_who_logs_in_without_encryption_is_told(url: str, *, openly: bool) -> None:
    assert sends_openly(url) is openly
