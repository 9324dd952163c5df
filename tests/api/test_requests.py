"""Odd requests get a clear problem and change nothing; what is sent again is done once."""

import gzip
import http.client
import json
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cnnctl.connection
from cnnctl.connection import UnixConnection
from cnnctl.errors import NotAuthenticated
from cnnctl.http_client import HttpClient
from service.cli.main import main
from service.commands.ops.doctor_api import check_api
from service.settings import load_settings
from tests.api.conftest import Api
from tests.images import write_npz

SUBMISSION = {"architecture": "lenet5", "fields": {"data.dataset": "synthetic"}}
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
Answer = tuple[int, Mapping[str, str], Any]


def ask(
    api: Api, method: str, path: str, body: object = None, *, tcp: bool = False, **headers: Any
) -> Answer:
    """Send one request, as it is; the status, the headers and the document of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port) if tcp else UnixConnection(api.socket)
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, content, named)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    if found.get("content-encoding") == "gzip":
        text = gzip.decompress(text)
    return answer.status, found, json.loads(text) if "json" in found.get("content-type", "") else text


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"architecture": "lenet5", "colour": "red"}, "colour", "colour"),
        ({"architecture": 5}, "architecture", "valid string"),
        ({"architecture": "lenet5", "hosts": "2"}, "hosts", "valid integer"),
        ({"architecture": "lenet5", "priority": "urgent"}, "priority", "'low', 'normal' or 'high'"),
        ({"architecture": "nonet"}, "", "nonet"),
        ({"architecture": "lenet5", "fields": {"optimizer.lr": -1}}, "", "optimizer.lr"),
        ({"architecture": "lenet5", "not_before": "2026-11-28T00:00:00"}, "", "offset from UTC"),
        ({"architecture": "lenet5", "like": 99}, "", "There is no job 99"),
        (b'{"architecture": "lenet5", "fields": {"optimizer.lr": NaN}}', "", "NaN is no number"),
        (b'{"architecture": "lenet5", "fields": {"optimizer.lr": 1e999}}', "", "is no number"),
        (b'{"architecture": "lenet5", "fields": {"training.epochs": ' + b"9" * 100_000 + b"}}", "", ""),
        (b'{"architecture": "lenet5", "fields": ' + 100_000 * b"[" + 100_000 * b"]" + b"}", "", "deeper"),
        (b'{"architecture": "lenet5", "name": "\\ud800"}', "", ""),
        (b"\xff\xfe", "", "no JSON"),
        (b"[]", "", "one JSON object"),
        (b"", "", "Name an architecture"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_submission_that_is_none_is_told_its_fault(
    shared_api: Api, body: object, field: str, words: str
) -> None:
    api = shared_api
    before = ask(api, "GET", "/api/v1/job-counts")[2]
    status, headers, problem = ask(api, "POST", "/api/v1/jobs", body, Content_Type="application/json")
    assert status in (404, 422), problem
    assert headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert words in problem["detail"]
    assert problem["field"] == field
    assert ask(api, "GET", "/api/v1/job-counts")[2] == before


def test_every_other_fault_has_its_status(shared_api: Api) -> None:
    api = shared_api
    job = ask(api, "POST", "/api/v1/jobs", SUBMISSION)[2]["job"]
    ask(api, "POST", f"/api/v1/jobs/{job}/cancel")
    for method, path, wanted in (
        ("GET", "/api/v1/jobs/999", 404),
        ("GET", f"/api/v1/jobs/{'9' * 100}", 404),
        ("GET", f"/api/v1/jobs/{'9' * 5000}", 422),
        ("GET", "/api/v1/jobs/-1", 404),
        ("GET", "/api/v1/jobs/x", 422),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/jobs?colour=red", 422),
        ("GET", "/api/v1/jobs?limit=0", 422),
        ("GET", "/api/v1/jobs?state=lost", 422),
        ("GET", "/api/v1/usage?since=2026-01-01T00:00:00", 422),
        ("GET", "/api/v1/usage?since=0001-01-01T00:00:00Z", 422),
        ("GET", "/api/v1/audit?before=99999999999999999999", 200),
        ("PUT", "/api/v1/jobs", 405),
        ("POST", f"/api/v1/jobs/{job}/cancel", 409),
        ("GET", f"/api/v1/jobs/{job}/files/..%2f..%2fcnnctl.db", 404),
        ("DELETE", "/api/v1/hosts/nowhere", 404),
        ("DELETE", "/api/v1/tokens/99999999999999999999", 404),
    ):
        status, headers, problem = ask(api, method, path)
        assert status == wanted, (method, path, problem)
        if status >= 400:
            assert headers["content-type"] == "application/problem+json"
            assert problem["status"] == status


def test_a_body_of_more_than_a_mebibyte_is_refused_also_when_its_length_is_not_said(shared_api: Api) -> None:
    api = shared_api
    large = b'{"architecture": "' + b"x" * (1024 * 1024) + b'"}'
    assert ask(api, "POST", "/api/v1/jobs", large)[0] == 413
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(api.socket))
        raw.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            raw.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        assert b" 413 " in raw.recv(65536).split(b"\r\n")[0]


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(slow_api: Api) -> None:
    api = slow_api
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(api, "GET", "/api/v1/me"), range(20)))
    refused = [answer for answer in answers if answer[0] == 429]
    assert refused
    assert refused[0][1]["retry-after"] == "1"
    assert ask(api, "GET", "/api/v1/me", tcp=True)[0] == 401  # another's bucket
    time.sleep(1)  # a second of the clock is what is tested
    assert ask(api, "GET", "/api/v1/me")[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_for_another_name_is_refused(shared_api: Api, method: str) -> None:
    api = shared_api
    path = "/api/v1/jobs"
    assert ask(api, method, path, tcp=True, Host="evil.example")[0] == 403
    assert ask(api, method, path, tcp=True, Host=f"localhost:{api.port}")[0] == 401


def test_what_is_sent_again_with_its_key_is_done_once(api: Api) -> None:
    key: dict[str, Any] = {"Idempotency_Key": "k1"}
    first = ask(api, "POST", "/api/v1/jobs", SUBMISSION, **key)
    assert first[0] == 201
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: ask(api, "POST", "/api/v1/jobs", SUBMISSION, **key), range(4)))
    assert [answer[2] for answer in again] == 4 * [first[2]]
    other = ask(api, "POST", "/api/v1/jobs", {**SUBMISSION, "architecture": "softmax"}, **key)
    assert (other[0], other[2]["type"]) == (409, "urn:cnnctl:key-reused")
    job = first[2]["job"]
    cancelled = [ask(api, "POST", f"/api/v1/jobs/{job}/cancel", Idempotency_Key="k2")[2] for _ in range(2)]
    assert cancelled == 2 * [{"job": job, "state": "cancelled"}]
    assert len(ask(api, "GET", "/api/v1/jobs")[2]["items"]) == 1


def test_a_token_whose_answer_was_lost_is_replaced_when_it_is_asked_for_again(api: Api) -> None:
    """Its secret is kept nowhere, so it cannot be answered once more."""
    made = [ask(api, "POST", "/api/v1/tokens", {"name": "laptop"}, Idempotency_Key="k") for _ in range(2)]
    assert [answer[0] for answer in made] == [201, 201]
    with pytest.raises(NotAuthenticated):
        HttpClient.at(api.url, token=made[0][2]["secret"]).get_me()
    assert HttpClient.at(api.url, token=made[1][2]["secret"]).get_me().via == "token laptop"
    (token,) = api.client().list_tokens()
    assert (token.token, token.name) == (made[1][2]["token"], "laptop")
    removed = [one for one in api.client().list_audit(subject="token") if one.action == "removed"]
    assert [one.detail for one in removed] == ["its secret was lost on the way"]
    other = ask(api, "POST", "/api/v1/tokens", {"name": "desk"}, Idempotency_Key="k")
    assert (other[0], other[2]["type"]) == (409, "urn:cnnctl:key-reused")


def test_who_gets_no_answer_is_told_what_to_do_with_a_token_that_was_perhaps_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cnnctl.connection, "RETRY_SECONDS", 0.0)
    environment = {"CNNCTL_SOCKET": str(tmp_path / "api.sock"), "CNNCTL_HOME": "", "CNNCTL_DATABASE_URL": ""}
    run = CliRunner().invoke(main, ["token", "create", "--name", "laptop"], env=environment)
    assert run.exit_code == 1
    assert "end it: cnnctl token revoke laptop" in run.stderr


def test_the_same_key_at_the_same_time_is_done_once(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: ask(api, "POST", "/api/v1/jobs", SUBMISSION, Idempotency_Key="k"), range(8))
        )
    assert [answer[0] for answer in answers] == 8 * [201], answers
    assert len(ask(api, "GET", "/api/v1/jobs")[2]["items"]) == 1


def test_what_has_not_changed_is_not_sent_again(shared_api: Api) -> None:
    api = shared_api
    for _ in range(3):
        ask(api, "POST", "/api/v1/jobs", SUBMISSION)
    status, headers, _ = ask(api, "GET", "/api/v1/jobs", Accept_Encoding="gzip")
    assert (status, headers["content-encoding"]) == (200, "gzip")
    tag: dict[str, Any] = {"If_None_Match": headers["etag"]}
    assert ask(api, "GET", "/api/v1/jobs", **tag)[0] == 304
    ask(api, "POST", "/api/v1/jobs", SUBMISSION)
    assert ask(api, "GET", "/api/v1/jobs", **tag)[0] == 200


def test_a_browser_comes_in_by_a_link_once_and_only_from_the_services_own_pages(shared_api: Api) -> None:
    api = shared_api
    path = "/" + api.client().make_link().url.split("/", 3)[3]
    status, headers, _ = ask(api, "GET", path, tcp=True)
    assert status == 303
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert ask(api, "GET", path, tcp=True)[0] == 401
    session: dict[str, Any] = {"Cookie": cookie.partition(";")[0]}
    assert ask(api, "GET", "/api/v1/me", tcp=True, **session)[2]["via"] == "browser"
    start = ask(api, "GET", "/", tcp=True, **session)
    assert start[1]["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in start[1]["content-security-policy"]
    assert b"by browser" in start[2]
    host = f"127.0.0.1:{api.port}"
    tried: list[tuple[dict[str, Any], int]] = [
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 201),
        ({"Origin": f"http://{host}"}, 201),
    ]
    for said, wanted in tried:
        answer = ask(api, "POST", "/api/v1/jobs", SUBMISSION, tcp=True, **session, **said)
        assert answer[0] == wanted, (said, answer)
    for _ in range(2):
        assert ask(api, "POST", "/sign-out", tcp=True, Sec_Fetch_Site="same-origin", **session)[0] == 303
    assert ask(api, "GET", "/api/v1/me", tcp=True, **session)[0] == 401
    went, came = api.client().list_audit(subject="session")
    (link,) = api.client().list_audit(subject="link")
    assert [(one.action, one.via, one.origin) for one in (link, came, went)] == [
        ("added", "socket", ""),
        ("added", "browser", "127.0.0.1"),
        ("removed", "browser", "127.0.0.1"),
    ]
    assert (came.name, came.detail) == (went.name, f"by link {link.name.partition(' ')[0]}")


def test_everybody_may_ask_which_version_answers(shared_api: Api) -> None:
    api = shared_api
    assert ask(api, "GET", "/api/v1/version", tcp=True)[0] == 200


@ON_SQLITE
def test_a_socket_that_a_kill_has_left_is_replaced_and_one_that_is_served_is_not(api: Api) -> None:
    assert "Another process serves" in api.run("api", code=4, **api.settings).stderr
    api.kill()
    assert api.socket.exists()
    api.start()
    assert api.client().get_me().via == "socket"


@ON_SQLITE
def test_a_key_is_answered_also_when_the_act_would_be_refused_by_now(api: Api) -> None:
    """Its answer was lost on the way, and meanwhile the world has changed."""
    path = write_npz(api.home.parent / "x.npz")
    spec = {"architecture": "softmax", "fields": {"data.dataset": f"npz:{path}"}}
    first = ask(api, "POST", "/api/v1/jobs", spec, Idempotency_Key="k")
    assert first[0] == 201, first
    path.write_bytes(b"damaged")
    assert ask(api, "POST", "/api/v1/jobs", spec)[0] == 422
    assert ask(api, "POST", "/api/v1/jobs", spec, Idempotency_Key="k")[2] == first[2]


@ON_SQLITE
def test_doctor_says_whether_somebody_answers_at_the_socket(api: Api) -> None:
    settings = load_settings(api.settings)
    (well,) = check_api(settings)
    assert (well.found, well.remedy) == (f"answers on {api.socket}", "")
    api.kill()
    (ill,) = check_api(settings)
    assert ill.found == f"{api.socket} does not answer: Connection refused"
    assert "cnnctl api" in ill.remedy
    api.socket.unlink()
    assert list(check_api(settings)) == []
