"""The page of a job: its curves grow, its buttons do what they say, and strangers' words are text."""

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect
from starlette.datastructures import QueryParams

from cnnctl.views.requests import LabelRequest, SubmissionRequest
from service.client.local import LocalClient
from service.db.engine import make_engine
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.settings import load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, logs, metrics
from service.store.transaction import Store
from service.web.job_page import make_page
from service.web.parts import Visit
from tests.api.conftest import Api
from tests.browser.checks import HOSTILE, check_page
from tests.browser.conftest import send
from tests.conftest import ADA, HOST, place

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
GPU = Gpu(uuid="one", host_name=HOST, number=0, model="simulated (CPU)", memory_mib=0, simulated=True)


def submit(api: Api, name: str = "") -> int:
    request = SubmissionRequest(architecture="softmax", fields={"data.dataset": "synthetic"}, name=name)
    return api.client().submit(request).job


def test_each_button_does_what_it_says(shared_api: Api, open_page: Open) -> None:
    job = submit(shared_api)
    page = open_page(shared_api, f"/jobs/{job}")
    state = page.locator("h1 .state")
    for button, result in (
        ("Hold", "paused"),
        ("Resume", "queued"),
        ("Cancel", "cancelled"),
        ("Retry", "queued"),
    ):
        page.get_by_role("button", name=button, exact=True).click()
        expect(state).to_have_text(result)
    page.get_by_label("Priority").select_option("low")
    page.get_by_role("button", name="Set priority").click()
    expect(page.locator("aside")).to_contain_text("low")
    page.get_by_text("Labels").click()
    page.get_by_label("Name").fill("called")
    page.get_by_label("Tags").fill("one two")
    page.get_by_label("Note").fill("said of it")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_contain_text("called")
    view = shared_api.client().get_job(job)
    assert (view.name, view.tags, view.note) == ("called", ("one", "two"), "said of it")


@pytest.mark.parametrize("scripts", [True, False])
def test_labels_that_another_has_changed_meanwhile_stay(
    shared_api: Api, open_page: Open, *, scripts: bool
) -> None:
    client, job = shared_api.client(), submit(shared_api, "first")
    client.change_labels(job, LabelRequest(add_tags=["baseline", "a"], note="\nsaid\nof it"))
    page = open_page(shared_api, f"/jobs/{job}", java_script_enabled=scripts)
    page.get_by_text("Labels").click()
    page.get_by_label("Tags").fill("Baseline, b")
    client.change_labels(job, LabelRequest(name="second", add_tags=["c"], remove_tags=["a"]))
    if scripts:
        expect(page.locator("h1")).to_contain_text("second")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1 + .line")).to_contain_text("b · baseline · c")
    view = client.get_job(job)
    assert (view.name, view.tags, view.note) == ("second", ("b", "baseline", "c"), "\nsaid\nof it")


def test_a_button_that_comes_too_late_says_why(shared_api: Api, open_page: Open) -> None:
    job = submit(shared_api)
    page = open_page(shared_api, f"/jobs/{job}", java_script_enabled=False)
    shared_api.client().cancel(job)
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_text("cannot be held: it is cancelled")).to_be_visible()
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page.locator("h1 .state")).to_have_text("cancelled")


def test_words_from_outside_are_text(shared_api: Api, open_page: Open) -> None:
    job = submit(shared_api, HOSTILE)
    shared_api.client().change_labels(job, LabelRequest(note=HOSTILE + "y" * 9_000))
    check_page(open_page, shared_api, f"/jobs/{job}", "<script>alert(1)</script>", "cnnctl submit")


def test_curves_grow_while_the_page_is_open(
    make_api: Callable[..., Api], open_page: Open, store: Store, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    layers = [Point(f"layer/conv{n}/dead", 10, 0.1 * n) for n in (1, 2)]
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0)
        metrics.add_points(tx, attempt.id, [Point("loss", 10, 2.0), Point("val_loss", 10, 2.5), *layers])
    api = make_api()
    page = open_page(api, f"/jobs/{attempt.job_id}")
    expect(page.locator("#plot-1[data-points='2'] canvas")).to_be_visible()
    expect(page.locator("#chart-1")).to_contain_text("validation 2.500")
    expect(page.get_by_role("row", name="conv2")).to_contain_text("0.200")
    with store.transaction() as tx:
        metrics.add_points(tx, attempt.id, [Point("loss", 20, 1.0)])
    expect(page.locator("#chart-1")).to_contain_text("train 1.000", timeout=10_000)
    expect(page.locator("#plot-1[data-points='3']")).to_be_attached(timeout=10_000)
    check_page(open_page, api, f"/jobs/{attempt.job_id}", "train 1.000", "Dead ReLUs", "Attempts")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_curves_have_the_axes_that_the_address_says(
    make_api: Callable[..., Api], open_page: Open, store: Store, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    points = [
        Point(name, 10 * n, value / n)
        for n in range(1, 5)
        for name, value in (("loss", 2.0), ("val_loss", 2.5), ("images_per_second", 100.0))
    ]
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0)
        metrics.add_points(tx, attempt.id, points)
    api = make_api()
    page = open_page(api, f"/jobs/{attempt.job_id}?find=a")
    plot = page.locator("#plot-1")
    expect(plot).to_have_attribute("data-over", "epoch")
    for words in ("step", "minutes of training"):
        page.get_by_role("link", name=words).click()
        expect(plot).to_have_attribute("data-over", words)
    page.get_by_role("link", name="logarithmic").click()
    expect(plot).to_have_attribute("data-over", "minutes of training")
    assert page.url.endswith("?find=a&x=time&y=log")
    expect(page.locator("#plot-1 canvas")).to_be_visible()
    bare = open_page(api, f"/jobs/{attempt.job_id}?x=time&y=log", java_script_enabled=False)
    picture = bare.locator("#chart-1 img")
    svg = bare.request.get(urljoin(bare.url, picture.get_attribute("src"))).text()
    assert "minutes of training" in svg
    for query in ("x=years", "y=linear"):
        page.goto(f"{page.url.partition('?')[0]}?{query}")
        expect(page.locator(".alert")).to_contain_text("takes")


# Whether anything of this share of the plot's width has the colour of training.
IS_DRAWN = """share => {
  const canvas = document.querySelector("#plot-1 canvas"), over = document.querySelector("#plot-1 .u-over");
  const outer = canvas.getBoundingClientRect(), inner = over.getBoundingClientRect();
  const by = canvas.width / outer.width, left = (inner.left - outer.left + share * inner.width - 1) * by;
  const { data } = canvas.getContext("2d").getImageData(left, 0, 2 * by, (inner.bottom - outer.top) * by);
  return data.some((red, at) => at % 4 === 0 && data[at + 2] - red > 120);
}"""


def zoom(page: Page, left: float, right: float) -> None:
    box = page.locator("#plot-1 .u-over").bounding_box()
    assert box is not None
    with page.expect_response("**/api/v1/curves*start=*"):
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + right * box["width"], box["y"] + 50, steps=3)
        page.mouse.up()


def test_a_gap_is_none_that_a_line_bridges_and_later_metrics_come_into_the_chart(
    make_api: Callable[..., Api], open_page: Open, store: Store, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    losses = [Point("loss", 10 * n, None if n == 3 else 1.0) for n in range(1, 6)]
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0)
        metrics.add_points(tx, attempt.id, losses)
    page = open_page(make_api(), f"/jobs/{attempt.job_id}")
    plot = page.locator("#plot-1")
    expect(page.locator("#plot-1[data-points='5'] canvas")).to_be_visible()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert [page.evaluate(IS_DRAWN, share) for share in (0.125, 0.5, 0.875)] == [True, False, True]
    with store.transaction() as tx:
        metrics.add_points(tx, attempt.id, [Point("val_loss", 50, 2.0)])
    expect(plot).to_have_attribute("data-metrics", "loss val_loss", timeout=10_000)
    expect(plot).to_have_attribute("data-points", "6", timeout=10_000)


def test_a_zoom_between_two_points_shows_the_line_between_them_and_ends(
    make_api: Callable[..., Api], open_page: Open, store: Store, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0)
        metrics.add_points(tx, attempt.id, [Point("loss", step, 1.0) for step in (100, 200)])
    page = open_page(make_api(), f"/jobs/{attempt.job_id}?x=step")
    plot = page.locator("#plot-1")
    expect(page.locator("#plot-1[data-points='2'] canvas")).to_be_visible()
    zoom(page, 0.4, 0.6)
    expect(plot).to_have_attribute("data-points", "0")
    assert [page.evaluate(IS_DRAWN, share) for share in (0.1, 0.5, 0.9)] == [True, True, True]
    page.locator("#plot-1 .u-over").dblclick()
    expect(plot).to_have_attribute("data-points", "2")


def test_files_show_their_digests_where_one_asks_for_them(shared_api: Api, open_page: Open) -> None:
    job = submit(shared_api)
    folder = shared_api.home / "runs" / str(job) / "1"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    with closing(Store(make_engine(shared_api.settings["CNNCTL_DATABASE_URL"]))) as store:
        with store.transaction() as tx:
            hosts.register_host(tx, HOST, worker="w1", cores=2, devices=[GPU])
            place(tx, JobId(job), GPU.uuid)
            attempt = attempts.find_live_attempt(tx, JobId(job))
            assert attempt is not None
            attempts.claim(
                tx, attempt.id, worker="w1", host_name=HOST, runs_dir=str(shared_api.home / "runs")
            )
    page = open_page(shared_api, f"/jobs/{job}")
    page.get_by_role("link", name="of each file").click()
    expect(page.locator("#files")).to_contain_text(hashlib.sha256(b"{}").hexdigest())
    page.goto(page.url.partition("?")[0] + "?files=md5")
    expect(page.locator(".alert")).to_contain_text("files takes sha256")


def test_how_often_one_looks_follows_the_job_while_the_page_is_open(tmp_path: Path, store: Store) -> None:
    client = LocalClient(store, load_settings({"CNNCTL_HOME": str(tmp_path)}), ADA)
    visit = Visit(client=client, me=client.get_me())
    job = client.submit(SubmissionRequest(architecture="softmax")).job
    parts = make_page(visit, {"job": str(job)}, QueryParams()).parts
    log = next(part for part in parts if part.name == "log")

    def ask() -> float:
        return log.get_seconds(replace(visit, seen={}))

    assert ask() == 5
    client.cancel(job)
    assert ask() == 300
    client.retry(job)
    assert ask() == 5


def test_links_keep_what_else_the_address_says(
    make_api: Callable[..., Api], open_page: Open, store: Store, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    points = [Point(f"layer/conv1/{name}", 10, 0.1) for name in ("dead", "saturated")]
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0)
        metrics.add_points(tx, attempt.id, [Point("loss", 10, 2.0), *points])
        logs.set_log_tail(tx, attempt.id, "first\n 10 %\r 20 %\r 30 %\n\nlast\n")
    page = open_page(make_api(), f"/jobs/{attempt.job_id}?x=time", java_script_enabled=False)
    assert page.locator(".log").inner_text().splitlines() == ["first", " 30 %", "", "last"]
    page.get_by_role("link", name="saturated").click()
    page.get_by_placeholder("Find in the last lines").fill("last")
    page.get_by_role("button", name="Find").click()
    assert page.url.partition("?")[2] == "heat=saturated&x=time&find=last#log"
    page.get_by_role("link", name="of each file").click()
    assert page.url.partition("?")[2] == "find=last&heat=saturated&x=time&files=sha256#files"
    expect(page.get_by_role("heading", name="Saturated by layer and epoch")).to_be_visible()


def test_a_priority_that_is_none_is_refused(shared_api: Api, open_page: Open) -> None:
    job = submit(shared_api)
    page = open_page(shared_api, f"/jobs/{job}")
    status, _, text = send(page, f"/jobs/{job}/priority", "priority=urgent")
    assert status == 422
    assert "Allowed: low, normal, high" in text
