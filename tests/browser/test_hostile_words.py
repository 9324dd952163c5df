"""Whatever people call their things, every page shows it as text, fits, and runs nothing."""

from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from cnnctl.views.requests import HookRequest, TokenRequest
from service.db.engine import make_engine
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.labels import Labels
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import Outcome
from service.store.fleet import hosts
from service.store.jobs import attempts, jobs, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store, Transaction
from tests.api.conftest import Api
from tests.browser.checks import check_fits
from tests.browser.conftest import NARROW
from tests.conftest import HOST, place
from tests.images import write_npz

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
MARKS = ("\x1b", "\u202e")
TITLES = """[document.title, ...[...document.querySelectorAll("[title], [aria-label], [alt]")]
    .map(one => one.title + one.ariaLabel + one.alt)]"""
ODD = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e"
LONG = ODD + "w" * 10_000
GPUS = [
    Gpu(uuid=f"one{n}", host_name=HOST, number=n, model=ODD, memory_mib=0, simulated=True) for n in range(2)
]


@pytest.fixture(scope="module")
def filled(shared_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[JobId]]:
    """A finished job, a running one and two that wait, all with hostile words, which an older cnnctl took."""
    client = shared_api.client()
    client.create_token(TokenRequest(name="<script>alert(1)</script>" + "t" * 30, scope="read"))
    client.add_hook(HookRequest(channel="mail", address="a" * 60 + "@example.org", on=["end"]))
    npz = write_npz(tmp_path_factory.mktemp("npz") / "cells.npz")
    client.add_dataset("d" * 64, npz, description="<script>alert(1)</script>" + "w" * 400)
    with closing(Store(make_engine(shared_api.settings["CNNCTL_DATABASE_URL"]))) as store:
        with store.transaction() as tx:
            hosts.register_host(tx, HOST, worker="w1", cores=2, devices=GPUS)
            numbers = [_add(tx, seed) for seed in range(4)]
            for number, gpu in zip(numbers[:2], GPUS, strict=True):
                _train(tx, number, gpu.uuid, ends=number == numbers[0])
        yield numbers


def _add(tx: Transaction, seed: int) -> JobId:
    labels = Labels(name=LONG, note=LONG, tags=(LONG, "<script>alert(1)</script>"))
    scheduling = SchedulingOptions(project=LONG)
    spec = resolve_spec("lenet5", {"training.seed": seed})
    return jobs.create_job(tx, spec, owner=LONG, reason=LONG, scheduling=scheduling, labels=labels)


def _train(tx: Transaction, job: JobId, gpu: str, *, ends: bool) -> None:
    place(tx, job, gpu)
    attempt = attempts.find_live_attempt(tx, job)
    assert attempt is not None
    taken = attempts.claim(tx, attempt.id, worker="w1", host_name=HOST, runs_dir="/runs")
    assert taken is not None
    attempts.set_running_if_starting(tx, taken, start_step=0)
    points = [Point(name, step, 1 / step) for step in (10, 20) for name in ("loss", f"layer/{ODD}/dead")]
    metrics.add_points(tx, taken.id, points)
    if ends:
        end_attempt(tx, taken, Outcome.FAILED, reason=LONG, actor=SCHEDULER, retry_limit=0)


ALL_COLUMNS = "job,state,what,dataset,owner,project,tags,priority,gpus,host,epochs,loss,reason"
ADDRESSES = (
    "/",
    "/jobs",
    f"/jobs?columns={ALL_COLUMNS}&text={quote(ODD)}",
    "/jobs/{0}",
    "/jobs/{1}?files=sha256",
    "/jobs/{2}",
    "/compare?jobs={0},{1},{2}",
    "/gpus",
    "/people?since=30d",
    "/people?change=" + quote(ODD),
    "/people/audit",
    "/new?like={0}",
    "/new?name=" + quote(ODD),
    "/datasets",
    "/datasets/" + "d" * 64,
    "/networks",
    "/networks/lenet5",
    "/nothing/" + quote(ODD, safe=""),
)


@pytest.mark.parametrize("address", ADDRESSES, ids=[address[:20] for address in ADDRESSES])
def test_hostile_words_are_text_and_fit(
    shared_api: Api, open_page: Open, filled: list[JobId], address: str
) -> None:
    page = open_page(shared_api, address.format(*filled), viewport=NARROW)
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.reload()
    seen = page.inner_text("body") + str(page.evaluate(TITLES))
    assert [mark for mark in MARKS if mark in seen] == []  # fields of forms alone have them, to be sent back
    assert page.locator("script", has_text="alert").count() == 0
    assert len(page.inner_text("main")) < 45_000  # a note is shown whole, and names cut short
    check_fits(page)
    assert asked == []
    assert page.locator("main img[src=x]").count() == 0
