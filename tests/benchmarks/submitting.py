"""What people wait for: `cnnctl submit` with Python's start, many submissions, `cnnctl status`, a scrape."""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client import generate_latest
from rich.console import Console

from cnnctl.views.requests import JobQuery
from service.api.prometheus import Traffic, make_registry
from service.cli.jobs.status import SHOWN_JOBS, draw_page
from service.client.local import LocalClient
from service.commands.jobs.submit import submit
from service.commands.ops.figures import FigureReader
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.settings import load_settings
from service.store.transaction import Store, open_store
from tests.benchmarks.databases import add_attempt, add_host, database_urls
from tests.benchmarks.figures import Figure, median_seconds

SUBMISSIONS, THREADS, JOBS = 500, 4, 10_000
ADA = Actor(name="ada")
ROOT = Path(__file__).resolve().parents[2]


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as home, database_urls() as urls:
        for name, url in urls.items():
            yield _time_command(name, url, home)
            store = open_store(url)
            yield from _time_use_case(name, store, home)
            yield _time_status(name, store, home)
            yield _time_scrape(name, store, home)
            store.close()


def _time_command(name: str, url: str, home: str) -> Figure:
    settings = {"CNNCTL_HOME": home, "CNNCTL_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    # As an installed program finds them: without its compiled files, Python takes half a second more.
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        words = [sys.executable, "-m", "service.cli.main", "submit", "lenet5"]
        subprocess.run(words, env={**inherited, **settings}, check=True, capture_output=True)

    seconds = median_seconds({"submit": run}, rounds=7)["submit"]
    return Figure(name=f"submit_command_{name}", ratio=seconds, unit="s", goal="at most 0.8")


def _time_use_case(name: str, store: Store, home: str) -> Iterator[Figure]:
    settings = load_settings({"CNNCTL_HOME": home})

    def one(_: int = 0) -> JobId:
        return JobId(submit(store, settings, "lenet5", {}, owner=ADA).job)

    def many() -> None:
        for _ in range(SUBMISSIONS):
            one()

    def at_once() -> None:
        list(pool.map(one, range(SUBMISSIONS)))

    with ThreadPoolExecutor(THREADS) as pool:
        seconds = median_seconds({"one thread": many, f"{THREADS} threads": at_once}, rounds=3)
    for way, taken in seconds.items():
        yield Figure(
            name=f"submissions_{name}_{way.replace(' ', '_')}",
            ratio=SUBMISSIONS / taken,
            unit="per s",
            goal="at least 500 on PostgreSQL",
        )


def _time_status(name: str, store: Store, home: str) -> Figure:
    """Time the page of jobs, drawn, with so many in the table, every tenth of them tried."""
    settings = load_settings({"CNNCTL_HOME": home})
    add_host(store)
    while (job_id := submit(store, settings, "lenet5", {}, owner=ADA).job) < JOBS:
        if job_id % 10 == 0:
            add_attempt(store, Path(home))

    def draw() -> None:
        console = Console(file=io.StringIO(), width=160, highlight=False, markup=False)
        console.print(draw_page(LocalClient(store, settings, ADA), None, SHOWN_JOBS, JobQuery()))

    seconds = median_seconds({"status": draw}, rounds=9)["status"]
    return Figure(name=f"status_of_{JOBS}_jobs_{name}", ratio=seconds, unit="s", goal="at most 0.2")


def _time_scrape(name: str, store: Store, home: str) -> Figure:
    """Time what Prometheus reads of the same jobs, with all sums made anew."""
    settings = load_settings({"CNNCTL_HOME": home})

    def scrape() -> None:
        generate_latest(make_registry(FigureReader(store, settings), Traffic()))

    seconds = median_seconds({"scrape": scrape}, rounds=9)["scrape"]
    return Figure(name=f"scrape_of_{JOBS}_jobs_{name}", ratio=seconds, unit="s", goal="at most 0.05")
