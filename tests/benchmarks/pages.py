"""What pages of a large lab take in the service, and how late they tell of what happens."""

import gzip
import json
import re
import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from cnnctl.views.requests import TokenRequest
from service.commands.jobs.control import cancel
from service.commands.people.credentials import create_token
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.store.transaction import Store, open_store
from tests.api.conftest import Api
from tests.benchmarks.databases import database_urls
from tests.benchmarks.figures import Figure
from tests.benchmarks.lab import JOBS, OWNERS, QUEUED, RUNNING, fill
from tests.stack import cpu_seconds

ROUNDS = 15
LARGEST_PAGE_KB = 100
WATCHED = 20  # running jobs whose pages are open
PAGES, SECONDS, ACTS_A_SECOND = 200, 30.0, 4.0
FIRST_QUEUED = JOBS - RUNNING - QUEUED + 1
PLACES = {"now": "/", "job": f"/jobs/{JOBS}"}


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as folder, database_urls() as urls:
        with closing(open_store(urls["postgresql"])) as store:
            fill(store)
            api = Api(Path(folder), urls["postgresql"])
            api.environment["CNNCTL_API_RATE"] = "100000"
            api.start()
            try:
                cookies = [_sign_in(api, store, f"owner{number}") for number in range(OWNERS)]
                yield from _time_pages(api, cookies[0])
                yield from _time_streams(api, store, cookies)
            finally:
                api.stop()


def _sign_in(api: Api, store: Store, name: str) -> str:
    """The cookie of a session of a person."""
    actor = Actor(name=name)
    token = create_token(store, TokenRequest(name="bench", scope="submit"), actor=actor).secret
    with closing(HTTPConnection("127.0.0.1", api.port)) as connection:
        form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        connection.request("POST", "/sign-in", f"token={token}", form)
        return connection.getresponse().headers["Set-Cookie"].partition(";")[0]


def _time_pages(api: Api, cookie: str) -> Iterator[Figure]:
    with closing(HTTPConnection("127.0.0.1", api.port)) as connection:
        for name, place in PLACES.items():
            seconds, size = [], 0
            for _ in range(ROUNDS):
                began = time.perf_counter()
                connection.request("GET", place, headers={"Cookie": cookie})
                answer = connection.getresponse()
                text = answer.read()
                seconds.append(time.perf_counter() - began)
                assert answer.status == 200, text
                size = len(text)
            middle = 1000 * statistics.median(seconds)
            yield Figure(name=f"page_{name}", ratio=middle, unit="ms", goal="at most 150")
            goal = f"at most {LARGEST_PAGE_KB}; {len(gzip.compress(text)) / 1000:.1f} compressed"
            yield Figure(name=f"page_{name}_size", ratio=size / 1000, unit="kB", goal=goal)


def _time_streams(api: Api, store: Store, cookies: Sequence[str]) -> Iterator[Figure]:
    assert api.process is not None
    pid = api.process.pid
    with _open_pages(api, cookies) as told:
        time.sleep(5)  # until all have what there is
        used, acts = cpu_seconds(pid), _act(store)
        used = cpu_seconds(pid) - used
        time.sleep(2)
    late = [at - acts[job] for job, at in told if job in acts]
    assert len(late) > len(acts), "no page told of what happened"
    p95 = 1000 * statistics.quantiles(late, n=20)[-1]
    yield Figure(name=f"pages_{PAGES}_open_p95", ratio=p95, unit="ms", goal="at most 500")
    goal = f"at most 10, {len(acts) / SECONDS:.1f} events a second"
    yield Figure(name=f"pages_{PAGES}_open_cpu", ratio=100 * used / SECONDS, unit="% of a core", goal=goal)


def _act(store: Store) -> Mapping[int, float]:
    """Cancel jobs from the head of the queue; when, by their numbers."""
    acts: dict[int, float] = {}
    began = time.monotonic()
    while time.monotonic() < began + SECONDS:
        job = FIRST_QUEUED + len(acts)
        owner = f"owner{job % OWNERS}"
        acts[job] = time.time()
        cancel(store, JobId(job), actor=Actor(name=owner))
        time.sleep(max(0.0, began + len(acts) / ACTS_A_SECOND - time.monotonic()))
    return acts


@contextmanager
def _open_pages(api: Api, cookies: Sequence[str]) -> Iterator[list[tuple[int, float]]]:
    """Open the streams of all pages: half of Now; which job's row went from a queue, and when it was told."""
    told: list[tuple[int, float]] = []
    stop = threading.Event()
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for number in range(PAGES):
            page = "/" if number % 2 else f"/jobs/{JOBS - number // 2 % WATCHED}"
            client = opened.enter_context(socket.create_connection(("127.0.0.1", api.port)))
            cookie = cookies[number % len(cookies)]
            path = f"/live?page={quote(page, safe='')}"
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
            client.sendall(head.encode())
            selector.register(client, selectors.EVENT_READ, Reader(told))
        thread = threading.Thread(target=_read, args=(selector, stop))
        thread.start()
        yield told
        stop.set()
        thread.join()


class Reader:
    """A page's stream: which of the jobs in the queue are there no more."""

    def __init__(self, told: list[tuple[int, float]]) -> None:
        self._told = told
        self._text = b""
        self._queued: set[int] = set()

    def take(self, part: bytes) -> None:
        self._text += part
        *events, self._text = self._text.split(b"\n\n")
        for event in events:
            if b'"name": "queue"' in event[:80]:
                html = json.loads(event[event.index(b"data: ") + 6 :].split(b"\r\n")[0])["html"]
                queued = {int(number) for number in re.findall(r'id="queued-(\d+)"', html)}
                self._told += [(gone, time.time()) for gone in self._queued - queued]
                self._queued = queued


def _read(selector: selectors.BaseSelector, stop: threading.Event) -> None:
    while not stop.is_set():
        for key, _ in selector.select(timeout=0.2):
            assert isinstance(key.fileobj, socket.socket)
            key.data.take(key.fileobj.recv(1 << 20))
