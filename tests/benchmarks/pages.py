"""What pages of a large lab take in the service and in a browser, and how late they tell of what happens."""

import gzip
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

from playwright.sync_api import Page

from cnnctl.views.requests import TokenRequest
from service.commands.jobs.control import cancel
from service.commands.people.credentials import create_token
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.store.fleet import schedulers
from service.store.transaction import Store, open_store
from tests.api.conftest import Api
from tests.benchmarks.databases import database_urls
from tests.benchmarks.figures import Figure
from tests.benchmarks.lab import JOBS, MEASURED, OWNERS, QUEUED, RUNNING, fill
from tests.benchmarks.open_pages import Told, open_browsers, open_streams, open_window
from tests.servers import wait_until
from tests.stack import Stack, cpu_seconds

ROUNDS, PAINTINGS = 15, 8
LARGEST_PAGE_KB = 100
PAGES, BROWSERS, SECONDS, ACTS_A_SECOND = 200, 3, 30.0, 4.0
TURNS, TURN_SECONDS = (False, True, True, False) * 2, 8.0  # with pages open or not, beside the scheduler
SETTLE_SECONDS = 5.0
FIRST_QUEUED = JOBS - RUNNING - QUEUED + 1
COMPARED = ",".join(str(JOBS - number) for number in range(MEASURED))
COMPARE = f"/compare?jobs={COMPARED}&metric=batch_loss"
PLACES = {
    "now": "/",
    "job": f"/jobs/{JOBS}",
    "jobs": "/jobs",
    "jobs_second": f"/jobs?before={JOBS - 50}",
    "jobs_by_owner": "/jobs?sort=owner",
    "jobs_in_queue": "/jobs?state=queued&sort=start",
    "jobs_of_one": "/jobs?owner=owner3&project=project2&sort=ended",
    "jobs_with_text": "/jobs?text=lr+77&sort=oldest",
    "compare": COMPARE,
}
# Nothing is lost or preempted while the scheduler looks at a lab in which nobody trains.
STILL = {"CNNCTL_LEASE_SECONDS": "86400", "CNNCTL_QUANTUM_SECONDS": "604800", "CNNCTL_RESEND_SECONDS": "3600"}
_WAIT_UNTIL_PAINTED = """() => new Promise((done) => {
    const look = () => document.querySelector("[data-drawn]")
        ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look);
    look();
})"""


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as folder, database_urls() as urls:
        with closing(open_store(urls["postgresql"])) as store:
            fill(store)
            api = Api(Path(folder), urls["postgresql"])
            api.environment["CNNCTL_API_RATE"] = "100000"
            api.start()
            try:
                cookies = [_sign_in(api, store, f"owner{number}") for number in range(OWNERS)]
                _say_load()
                yield from _time_pages(api, cookies[0])
                yield _time_comparison(api, cookies)
                acts = Acts(store)
                yield from _time_streams(api, acts, cookies)
                yield _time_ticks(api, store, acts, cookies, Path(folder))
                _say_load()
            finally:
                api.stop()


def _say_load() -> None:
    print(f"  load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr, flush=True)


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
            middle, least = 1000 * statistics.median(seconds), 1000 * min(seconds)
            wanted = "as it is" if name == "compare" else "at most 150"
            yield Figure(name=f"page_{name}", ratio=middle, unit="ms", goal=f"{wanted}; the best {least:.0f}")
            goal = f"at most {LARGEST_PAGE_KB}; {len(gzip.compress(text)) / 1000:.1f} compressed"
            yield Figure(name=f"page_{name}_size", ratio=size / 1000, unit="kB", goal=goal)


def _time_comparison(api: Api, cookies: Sequence[str]) -> Figure:
    """From the click to the painted curves, with the browser's cache as it is on the second visit."""
    with open_window(api.port, cookies) as open_one:
        window = open_one(cookies[0])
        seconds = [_paint(window, f"http://127.0.0.1:{api.port}{COMPARE}") for _ in range(PAINTINGS)][1:]
    goal = f"at most 1; the median {statistics.median(seconds):.2f}"
    return Figure(name=f"compare_{MEASURED}_painted_best", ratio=min(seconds), unit="s", goal=goal)


def _paint(window: Page, address: str) -> float:
    window.goto("about:blank")
    window.goto(address, wait_until="commit")
    return float(window.evaluate(_WAIT_UNTIL_PAINTED)) / 1000


class Acts:
    """People who cancel their jobs, from the head of the queue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = FIRST_QUEUED

    def act(self, seconds: float) -> Mapping[int, float]:
        """Act at the usual pace; when, by the numbers of the jobs."""
        acts: dict[int, float] = {}
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            job, self._next = self._next, self._next + 1
            acts[job] = time.time()
            cancel(self._store, JobId(job), actor=Actor(name=f"owner{job % OWNERS}"))
            time.sleep(max(0.0, began + len(acts) / ACTS_A_SECOND - time.monotonic()))
        return acts


def _time_streams(api: Api, acts: Acts, cookies: Sequence[str]) -> Iterator[Figure]:
    assert api.process is not None
    pid = api.process.pid
    with (
        open_streams(api.port, cookies, count=PAGES - BROWSERS) as streams,
        open_browsers(api.port, cookies, count=BROWSERS) as list_seen,
    ):
        time.sleep(SETTLE_SECONDS)  # until all have what there is
        used, acted = cpu_seconds(pid), acts.act(SECONDS)
        used = cpu_seconds(pid) - used
        time.sleep(2)
        seen = list_seen()
    for name, told in (("stream", streams), ("dom", seen)):
        goal = "at most 500 from the event to the browser's document" if name == "dom" else "as it is"
        p95 = _find_p95(acted, told)
        yield Figure(name=f"pages_{PAGES}_open_{name}_p95", ratio=1000 * p95, unit="ms", goal=goal)
    goal = f"at most 10, {len(acted) / SECONDS:.1f} events a second"
    yield Figure(name=f"pages_{PAGES}_open_cpu", ratio=100 * used / SECONDS, unit="% of a core", goal=goal)


def _find_p95(acted: Mapping[int, float], told: Told) -> float:
    late = [at - acted[job] for job, at in told if job in acted]
    assert len(late) > len(acted), "no page told of what happened"
    return statistics.quantiles(late, n=20)[-1]


def _time_ticks(api: Api, store: Store, acts: Acts, cookies: Sequence[str], folder: Path) -> Figure:
    """A scheduler's ticks while people act, with the pages closed and open in turns."""
    stack = Stack(folder / "scheduler", CNNCTL_DATABASE_URL=api.settings["CNNCTL_DATABASE_URL"], **STILL)
    stack.start("scheduler")
    means: dict[bool, list[float]] = {False: [], True: []}
    try:
        wait_until(lambda: _sum_ticks(store)[0] > 0, seconds=60)
        for is_open in TURNS:
            with ExitStack() as opened:
                if is_open:
                    opened.enter_context(open_streams(api.port, cookies, count=PAGES))
                time.sleep(SETTLE_SECONDS)
                ticks, seconds = _sum_ticks(store)
                acts.act(TURN_SECONDS)
                more_ticks, more_seconds = _sum_ticks(store)
                means[is_open].append((more_seconds - seconds) / (more_ticks - ticks))
    finally:
        stack.close()
    without, beside = min(means[False]), min(means[True])
    goal = f"at most 1.1; {1000 * without:.0f} ms with no page open"
    return Figure(name=f"tick_beside_{PAGES}_pages", ratio=beside / without, unit="times", goal=goal)


def _sum_ticks(store: Store) -> tuple[int, float]:
    with store.reading() as tx:
        return schedulers.sum_ticks(tx)
