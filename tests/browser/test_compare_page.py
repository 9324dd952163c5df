"""Jobs side by side: what differs, their curves at every zoom, pictures and a table to take along."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from service.db.engine import make_engine
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.labels import Labels
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.spec_request import resolve_spec
from service.domain.states import Cause, Outcome
from service.store.fleet import hosts
from service.store.jobs import attempts, jobs, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store, Transaction
from tests.api.conftest import Api
from tests.browser.checks import list_barriers
from tests.browser.conftest import NARROW
from tests.conftest import HOST, place

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
Part = Mapping[str, Sequence[tuple[int, float | None]]]
HOSTILE = "=1+1<script>alert(1)</script>" + "x" * 200
GPU = Gpu(uuid="one", host_name=HOST, number=0, model="simulated (CPU)", memory_mib=0, simulated=True)
SPIKE, STEPS = 6_004, 10_000
# Whether anything in the top twelfth of the plot, around the spike, has the colour of the curve.
FIND_COLOUR = """([share, colour]) => {
  const canvas = document.querySelector("#plot canvas"), over = document.querySelector("#plot .u-over");
  const outer = canvas.getBoundingClientRect(), inner = over.getBoundingClientRect();
  const by = canvas.width / outer.width;
  const left = (inner.left - outer.left + share * inner.width - 3) * by, top = (inner.top - outer.top) * by;
  const { data } = canvas.getContext("2d").getImageData(left, top, 6 * by, inner.height * by / 12);
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 100 && colour.every((part, at) => Math.abs(part - data[i + at]) < 40)) return true;
  }
  return false;
}"""
WAIT_FOR_COLOUR = """async (asked) => {
  const find = FIND_COLOUR;
  for (let frame = 0; frame < 300; frame += 1) {
    if (find(asked)) return true;
    await new Promise(requestAnimationFrame);
  }
  return false;
}""".replace("FIND_COLOUR", FIND_COLOUR)


@pytest.fixture
def record(shared_api: Api) -> Callable[..., int]:
    """Add a job that has trained: fields of its spec, and the points of its metrics by attempt."""

    def add(*parts: Part, labels: Labels | None = None, **fields: object) -> int:
        spec = resolve_spec("lenet5", {name.replace("__", "."): value for name, value in fields.items()})
        with closing(Store(make_engine(shared_api.settings["CNNCTL_DATABASE_URL"]))) as store:
            with store.transaction() as tx:
                hosts.register_host(tx, HOST, worker="w1", cores=2, devices=[GPU])
                job = jobs.create_job(tx, spec, owner="ada", reason="", labels=labels or Labels())
                for number, part in enumerate(parts, start=1):
                    _train(tx, job, part, ends=number == len(parts))
        return int(job)

    return add


def _train(tx: Transaction, job: JobId, part: Part, *, ends: bool) -> None:
    place(tx, job, "one")
    attempt = attempts.find_live_attempt(tx, job)
    assert attempt is not None
    taken = attempts.claim(tx, attempt.id, worker="w1", host_name=HOST, runs_dir="/runs")
    assert taken is not None
    first = min(step for points in part.values() for step, _ in points)
    attempts.set_running_if_starting(tx, taken, start_step=first - 1)
    for name, points in part.items():
        metrics.add_points(tx, taken.id, [Point(name, step, value) for step, value in points])
    outcome, cause = (Outcome.SUCCEEDED, None) if ends else (Outcome.LOST, Cause.KILLED)
    end_attempt(tx, taken, outcome, cause=cause, reason="", actor=SCHEDULER, retry_limit=99)


def epochs(*values: float | None, every: int = 100) -> list[tuple[int, float | None]]:
    return [(every * number, value) for number, value in enumerate(values, start=1)]


@pytest.fixture
def three(record: Callable[..., int]) -> tuple[int, int, int]:
    """Two jobs that differ in their seeds, and one with another learning rate."""

    def one(last: float, **fields: object) -> int:
        points = {"loss": epochs(2.0, 1.0, last), "val_accuracy": epochs(0.2, 0.5, 1 - last)}
        return record({**points, "images_per_second": epochs(100.0, 100.0, 100.0)}, **fields)

    return (
        one(0.25, training__seed=1, labels=Labels(name=HOSTILE[:255], tags=("t",))),
        one(0.5, training__seed=2),
        one(0.75, training__seed=1, optimizer__lr=0.5),
    )


def drawn(page: Page) -> None:
    page.wait_for_selector("#plot[data-drawn]")


def read(page: Page, address: str | None) -> str:
    return page.request.get(urljoin(page.url, address)).text()


def link(*ids: int, **query: object) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/compare?jobs={','.join(map(str, ids))}{more}"


def test_only_what_differs_is_in_the_table_in_the_order_that_is_asked_for(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, link(*three))
    heads = page.locator(".compared th")
    expect(heads.filter(has_text="optimizer.lr")).to_be_visible()
    expect(heads.filter(has_text="val_accuracy")).to_be_visible()
    expect(heads.filter(has_text="training.epochs")).to_have_count(0)
    expect(page.locator(".line")).to_contain_text("3 jobs")
    assert page.locator(".same code").inner_text() == f"cnnctl compare {three[0]} {three[1]} {three[2]}"
    page.locator(".compared th a", has_text="val_accuracy").click()
    numbers = page.locator(".compared tbody td:first-child")
    assert numbers.all_inner_texts() == [str(job) for job in three]
    page.locator(".compared th a", has_text="val_accuracy").click()
    expect(numbers.first).to_have_text(str(three[2]))
    assert page.locator("script:not([src])").count() == 0


def test_curves_are_painted_and_their_legend_says_the_last_values(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, link(*three, metric="loss"))
    drawn(page)
    assert page.locator(".keys b").all_inner_texts() == ["0.25", "0.5", "0.75"]
    page.locator(f".keys [data-key='{three[1]}']").hover()
    expect(page.locator(f"#job-{three[1]}")).to_have_class("here")
    page.get_by_label("Over").select_option("epoch")
    page.wait_for_url("**x=epoch*")
    drawn(page)
    page.get_by_label("Smooth").fill("0.9")
    page.get_by_label("Smooth").press("Enter")
    page.wait_for_url("**smooth=0.9*")
    drawn(page)


def test_jobs_that_differ_in_their_seed_are_one_curve_with_a_band(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    for axis in ("step", "epoch"):
        page = open_page(shared_api, link(*three, metric="loss", group="seed", x=axis))
        drawn(page)
        names = page.locator(".keys span").all_inner_texts()
        assert names == ["lr 0.01 (2 jobs)", f"lr 0.5 (job {three[2]})"]
        assert page.locator(".keys b").all_inner_texts() == ["0.375", "0.75"]
        text = read(page, page.locator("#curves [data-svg]").get_attribute("href"))
        assert text.count("<polygon") == 1


@pytest.mark.parametrize("share", [1.0, 0.1, 0.01])
def test_a_spike_of_one_point_in_10_000_is_painted_at_every_zoom(
    shared_api: Api, open_page: Open, record: Callable[..., int], share: float
) -> None:
    curve = [(step, 1 + 0.1 * math.sin(step)) for step in range(1, STEPS + 1)]
    curve[SPIKE - 1] = (SPIKE, 100.0)
    a, b = record({"batch_loss": curve}), record({"batch_loss": [(1, 1.0), (STEPS, 1.0)]})
    page = open_page(shared_api, link(a, b, metric="batch_loss"))
    drawn(page)
    left, width = 1.0, STEPS - 1.0
    if share < 1:
        width, left = share * STEPS, SPIKE - share * STEPS * 0.4
        box = page.locator("#plot .u-over").bounding_box()
        assert box is not None
        at = [box["x"] + box["width"] * (edge - 1) / (STEPS - 1) for edge in (left, left + width)]
        middle = box["y"] + box["height"] / 2
        with page.expect_response("**/compare.json*start=*") as asked:
            page.mouse.move(at[0], middle)
            page.mouse.down()
            page.mouse.move(at[1], middle, steps=3)
            page.mouse.up()
        window = dict(part.split("=") for part in asked.value.url.split("?")[1].split("&"))
        left, width = float(window["start"]), float(window["end"]) - float(window["start"])
        assert width == pytest.approx(share * STEPS, rel=0.3)
        expect(page.locator("#plot")).to_have_attribute("data-refined", re.compile("."))
    place_of_spike = (SPIKE - left) / width
    colour = [0x35, 0x78, 0xE0]
    # `wait_for_function` evaluates its text in the page, which the page's own policy refuses.
    assert page.evaluate(WAIT_FOR_COLOUR, [place_of_spike, colour])
    assert not page.evaluate(FIND_COLOUR, [place_of_spike - 0.1, colour])


def test_values_are_drawn_on_a_logarithmic_axis_where_one_asks_for_it(
    shared_api: Api, open_page: Open, record: Callable[..., int]
) -> None:
    jobs = [record({"loss": epochs(100.0, 1.0, 0.01, 0.0)}, training__seed=seed) for seed in (1, 2)]
    page = open_page(shared_api, link(*jobs, metric="loss"))
    expect(page.locator("#plot canvas")).to_be_visible()
    page.get_by_label("Values").select_option("log")
    page.wait_for_url("**y=log**")
    expect(page.locator("#plot canvas")).to_be_visible()
    svg = page.request.get(urljoin(page.url, page.locator("[data-svg]").first.get_attribute("href"))).text()
    assert ">0.01<" in svg
    assert ">100<" in svg


def test_what_cannot_be_chosen_together_is_said_with_the_way_back(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, link(*three, metric="loss", group="seed"))
    expect(page.locator("#plot canvas")).to_be_visible()
    page.get_by_label("Over").select_option("time")
    expect(page.locator(".alert")).to_contain_text("choose x=step or x=epoch")
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    assert "group=seed" in page.url


def test_a_zoom_ends_with_a_button(shared_api: Api, open_page: Open, three: tuple[int, int, int]) -> None:
    page = open_page(shared_api, link(*three, metric="loss", x="time"))
    drawn(page)
    box = page.locator("#plot .u-over").bounding_box()
    assert box is not None
    with page.expect_response("**/compare.json*start=*"):
        page.mouse.move(box["x"] + 100, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 400, box["y"] + 50, steps=3)
        page.mouse.up()
    expect(page.locator("#curves [data-svg]")).to_have_attribute("href", re.compile("start="))
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()


def test_a_curve_that_was_put_away_stays_away_when_the_others_go_on(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, link(*three, metric="loss"))
    drawn(page)
    key = page.locator(f".keys [data-key='{three[0]}']")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    before = page.locator("#plot").get_attribute("data-drawn")
    with page.expect_response("**/compare.json*"):
        page.evaluate("document.dispatchEvent(new CustomEvent('part'))")
    expect(page.locator("#plot")).not_to_have_attribute("data-drawn", before or "")
    expect(key).to_have_attribute("aria-pressed", "false")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "true")


def test_curves_that_cannot_be_had_are_said_and_come_later(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, "/compare")
    page.route("**/compare.json*", lambda route: route.fulfill(status=503))
    page.goto(urljoin(page.url, link(*three, metric="loss")))
    expect(page.locator("#plot .notes")).to_have_text("The curves cannot be shown: 503")
    page.unroute("**/compare.json*")
    page.evaluate("document.dispatchEvent(new CustomEvent('part'))")
    drawn(page)
    expect(page.locator("#plot .notes")).to_contain_text("Drag to zoom")


def read_chart(page: Page, *ids: int, **query: object) -> Any:
    return json.loads(read(page, link(*ids, **query).replace("/compare?", "/compare.json?")))


def test_a_zoom_between_points_keeps_the_lines_that_cross_it(page: Page, record: Callable[..., int]) -> None:
    a, b = (record({"loss": epochs(2.0, 1.0)}, training__seed=seed) for seed in (1, 2))
    for query in ({}, {"group": "seed"}, {"smooth": 0.01}):
        chart = read_chart(page, a, b, metric="loss", start=120, end=180, **query)
        assert chart["notes"] == []
        for one in chart["curves"]:
            xs, ys = one["points"]
            assert xs == [120, 180]
            assert 1 < ys[1] < ys[0] < 2
    (grouped,) = read_chart(page, a, b, metric="loss", start=120, end=180, group="seed")["curves"]
    assert grouped["band"][0] == [120, 180]


def test_a_zoom_changes_no_smoothed_value(page: Page, record: Callable[..., int]) -> None:
    curve = [(step, math.sin(step / 50)) for step in range(1, 1001)]
    a, b = (record({"batch_loss": curve}, training__seed=seed) for seed in (1, 2))
    whole = read_chart(page, a, b, metric="batch_loss", smooth=0.5)
    assert whole["title"] == "smoothed by 0.5 per 100 steps"
    assert "Points that fall together: their least and largest value" in whole["notes"]
    part = read_chart(page, a, b, metric="batch_loss", smooth=0.5, start=500, end=600)
    assert part["notes"] == []
    near = dict(zip(*whole["curves"][0]["points"], strict=True))
    both = [(y, near[x]) for x, y in zip(*part["curves"][0]["points"], strict=True) if x in near]
    assert len(both) > 20
    assert [y for y, _ in both] == pytest.approx([y for _, y in both], abs=0.05)


def test_a_mean_says_from_where_jobs_are_missing_and_ends_with_the_second_last(
    page: Page, record: Callable[..., int]
) -> None:
    curves = [(3.0, None, None, None), (2.0, 2.0, 2.0, None), (1.0, 1.0, 1.0, 1.0)]
    ids = [record({"loss": epochs(*one)}, training__seed=seed) for seed, one in enumerate(curves)]
    chart = read_chart(page, *ids, metric="loss", group="seed")
    assert chart["notes"] == ["1 of 3 from step 200: 3 jobs"]
    (mean,) = chart["curves"]
    assert mean["points"] == [[100, 200, 300, 400], [2.0, 1.5, 1.5, None]]
    assert mean["band"][1][3] is None
    assert mean["last"] is None


def test_a_job_without_a_number_is_named_and_the_others_keep_their_axis(
    page: Page, record: Callable[..., int]
) -> None:
    points = {"val_accuracy": epochs(0.5), "loss": epochs(1.0)}
    ids = [record(points, optimizer__lr=lr) for lr in (0.1, 0.02)]
    ids.append(record({"loss": epochs(1.0)}, optimizer__lr=0.3))
    address = link(*ids, chart="scatter", scatter="optimizer.lr,val_accuracy")
    text = read(page, address.replace("/compare?", "/compare.svg?"))
    assert f"Not shown, without val_accuracy: {ids[2]}" in text
    page.goto(urljoin(page.url, link(*ids, scatter="optimizer.lr,val_accuracy")))
    before = page.locator("#scatter img").get_attribute("src")
    assert before is not None
    assert read(page, before).startswith("<svg")
    record_more = record(points, optimizer__lr=0.4)
    page.goto(urljoin(page.url, link(*ids, record_more, scatter="optimizer.lr,val_accuracy")))
    after = page.locator("#scatter img").get_attribute("src")
    assert after is not None
    assert before.partition("version=")[2] != after.partition("version=")[2]


def test_without_javascript_there_is_a_picture(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    address = link(*three, metric="loss", scatter="optimizer.lr,val_accuracy", smooth="0.5")
    page = open_page(shared_api, address, java_script_enabled=False)
    pictures = page.locator("figure img")
    expect(pictures).to_have_count(2)
    for number in range(2):
        text = read(page, pictures.nth(number).get_attribute("src"))
        assert text.startswith("<svg")
        assert "style" not in text
    page.get_by_label("Over").select_option("epoch")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("x=epoch"))


def test_pictures_are_downloaded_as_svg_and_png(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, link(*three, metric="loss"))
    drawn(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="SVG").click()
    assert download.value.path().read_bytes().startswith(b"<svg")
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert download.value.suggested_filename == "compare.png"


def test_no_cell_of_the_table_is_a_formula(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    page = open_page(shared_api, link(*three))
    text = page.request.get(f"{page.url.replace('/compare?', '/compare.csv?')}").text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["job"] for row in rows] == [str(job) for job in three]
    assert rows[0]["name"] == f"'{HOSTILE[:255]}"
    assert [row["optimizer.lr"] for row in rows] == ["0.01", "0.01", "0.5"]


def test_jobs_are_found_by_what_they_have_in_common(
    shared_api: Api, open_page: Open, record: Callable[..., int]
) -> None:
    ids = [record({"loss": epochs(1.0)}, labels=Labels(tags=("common",)), training__seed=n) for n in (1, 2)]
    page = open_page(shared_api, "/compare")
    expect(page.get_by_text("Two jobs or more")).to_be_visible()
    page.get_by_label("Tag").fill("common")
    page.get_by_role("button", name="Compare the newest of these").click()
    found = page.locator(".compared tbody td:first-child").all_inner_texts()
    assert found == [str(job) for job in reversed(ids)]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/compare?jobs=1,x", "jobs takes numbers"),
        ("/compare?jobs=999999998,999999999", "There is no job"),
        (f"/compare?jobs={','.join(map(str, range(1, 103)))}", "At most 100"),
        ("/compare?smooth=1", "smooth takes"),
        ("/compare?x=day", "x takes"),
        ("/compare?group=seed&x=time", "steps or epochs"),
        ("/compare?scatter=optimizer.lr", "scatter takes"),
        ("/compare?colour=red", "no parameter"),
        ("/compare?since=never", "since"),
    ],
)
def test_what_cannot_be_compared_is_said(page: Page, address: str, said: str) -> None:
    page.goto(address)
    expect(page.locator("main")).to_contain_text(said)


def test_a_scatter_of_what_no_job_can_have_is_refused(page: Page, three: tuple[int, int, int]) -> None:
    for scatter, said in (("colour,loss", "no setting"), ("optimizer.lr,colour", "has the metric")):
        page.goto(urljoin(page.url, link(*three, scatter=scatter)))
        expect(page.locator(".alert")).to_contain_text(said)
    text = read(page, f"/compare.svg?jobs={three[0]},{three[1]}&chart=scatter&scatter=optimizer.lr,loss")
    assert "All these jobs have the same optimizer.lr" in text


def test_a_narrow_screen_scrolls_nothing_sideways_and_axe_finds_nothing(
    shared_api: Api, open_page: Open, three: tuple[int, int, int]
) -> None:
    address = link(*three, scatter="optimizer.lr,val_accuracy")
    narrow = open_page(shared_api, address, viewport=NARROW)
    drawn(narrow)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page = open_page(shared_api, address)
    drawn(page)
    assert list_barriers(page) == []


def test_a_job_has_a_picture_with_its_attempts(
    shared_api: Api, open_page: Open, record: Callable[..., int]
) -> None:
    job = record({"loss": epochs(2.0, 1.5)}, {"loss": [(201, 1.2), (300, 1.0)], "val_loss": [(300, 1.1)]})
    page = open_page(shared_api, "/compare")
    base = page.url.removesuffix("/compare")
    text = page.request.get(f"{base}/jobs/{job}/chart.svg").text()
    assert "attempt 2" in text
    assert ">epoch<" in text  # as on the page of the job
    assert "#2567d8" in text
    assert "#b85f00" in text
    for query in ("metric=loss&smooth=0.9&width=400", "x=epoch", "metric=nothing", "start=10&end=150"):
        assert page.request.get(f"{base}/jobs/{job}/chart.svg?{query}").text().startswith("<svg"), query
    assert page.request.get(f"{base}/jobs/999999/chart.svg").status == 404
    assert page.request.get(f"{base}/jobs/{job}/chart.svg?width=9").status == 422
