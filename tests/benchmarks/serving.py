"""What the API takes for a command, for submissions of several people at once, and for a page of jobs."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from cnnctl.connection import PREFIX
from cnnctl.views.requests import TokenRequest
from service.commands.people.credentials import create_token
from service.domain.people import Actor
from service.store.transaction import open_store
from tests.api.conftest import Api
from tests.benchmarks.databases import database_urls
from tests.benchmarks.figures import Figure, median_seconds
from tests.stack import ROOT, cpu_seconds

PEOPLE = ("ada", "bob", "cleo", "dan")
SUBMISSIONS, JOBS, SHOWN_JOBS = 2_000, 10_000, 50
ROUNDS = 9
SUBMISSION = {"architecture": "lenet5", "fields": {"data.dataset": "digits"}}


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as folder, database_urls() as urls:
        api = Api(Path(folder), urls["postgresql"])
        api.environment["CNNCTL_API_RATE"] = "100000"
        api.start()
        try:
            tokens = make_tokens(urls["postgresql"])
            yield from _time_submissions(api, tokens)
            _submit(api, list(tokens.values()), count=JOBS - SUBMISSIONS)
            yield _time_page(api, tokens["ada"])
            yield from _time_commands(api)
        finally:
            api.stop()


def make_tokens(url: str) -> Mapping[str, str]:
    """A token of each person."""
    request = TokenRequest(name="bench", scope="submit")
    with closing(open_store(url)) as store:
        return {name: create_token(store, request, actor=Actor(name=name)).secret for name in PEOPLE}


def _time_submissions(api: Api, tokens: Mapping[str, str]) -> Iterator[Figure]:
    assert api.process is not None
    _submit(api, list(tokens.values()), count=100)  # to warm up
    used, began = cpu_seconds(api.process.pid), time.perf_counter()
    _submit(api, list(tokens.values()), count=SUBMISSIONS)
    seconds, used = time.perf_counter() - began, cpu_seconds(api.process.pid) - used
    rate = SUBMISSIONS / seconds
    yield Figure(name="api_submissions_postgresql", ratio=rate, unit="per s", goal="at least 300")
    goal = "what limits it: the API is one process of Python"
    yield Figure(name="api_cpu_a_submission", ratio=1000 * used / SUBMISSIONS, unit="ms", goal=goal)


def _submit(api: Api, tokens: Sequence[str], *, count: int) -> None:
    """Submit so many jobs, each person over a connection of their own."""
    failures: list[str] = []

    def submit(token: str) -> None:
        with closing(HTTPConnection("127.0.0.1", api.port)) as connection:
            for number in range(count // len(tokens)):
                key = {"Idempotency-Key": f"{time.monotonic_ns()}-{number}"}
                status = ask(connection, "POST", "jobs", token, SUBMISSION, **key)
                if status != 201:
                    failures.append(f"status {status}")

    threads = [threading.Thread(target=submit, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def ask(
    connection: HTTPConnection, method: str, path: str, token: str, body: object = None, **headers: str
) -> int:
    """Send a request over a connection that is kept; the status of the answer."""
    content = None if body is None else json.dumps(body).encode()
    connection.request(method, f"{PREFIX}/{path}", content, {"Authorization": f"Bearer {token}", **headers})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _time_page(api: Api, token: str) -> Figure:
    """Time the answer as a client has it, to whose share a millisecond belongs."""
    with closing(HTTPConnection("127.0.0.1", api.port)) as connection:

        def look() -> None:
            assert ask(connection, "GET", f"jobs?limit={SHOWN_JOBS}", token) == 200

        seconds = median_seconds({"page": look}, rounds=20 * ROUNDS)["page"]
    name = f"api_{SHOWN_JOBS}_of_{JOBS}_jobs"
    return Figure(name=name, ratio=1000 * seconds, unit="ms", goal="at most 20")


def _time_commands(api: Api) -> Iterator[Figure]:
    """Time commands over the socket, with the start of Python beside them."""
    # As an installed program finds them: without its compiled files, Python takes half a second more.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("CNNCTL_")
    }
    environment = {**inherited, "CNNCTL_SOCKET": str(api.socket), "PYTHONPATH": str(ROOT)}

    def run(*words: str) -> None:
        subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True)

    cnnctl = ("-m", "service.cli.main")
    ways = {
        "python": lambda: run("-c", "pass"),
        "status": lambda: run(*cnnctl, "status"),
        "submit": lambda: run(*cnnctl, "submit", "lenet5", "--dataset", "digits"),
    }
    goals = {"python": "beside the two below", "status": "at most 0.25", "submit": "at most 0.45"}
    for name, seconds in median_seconds(ways, rounds=ROUNDS).items():
        yield Figure(name=f"api_command_{name}", ratio=seconds, unit="s", goal=goals[name])
