"""The pages of studies: a claim is started there, followed, and judged, and its picture kept."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import TokenRequest
from cnnctl.views.studies import StudyView
from service.domain.people import Actor
from service.domain.states import Cause, Outcome
from service.scheduler.study_progress import advance_studies
from service.store.transaction import Store
from tests.api.conftest import Api
from tests.browser.checks import HOSTILE, check_page
from tests.browser.conftest import send
from tests.conftest import Clock
from tests.store.conftest import settings
from tests.store.test_studies import TUNED, Finish, Start, finish, start
from tests.unit.test_study_definition import STUDY

__all__ = ["finish", "settings", "start"]  # fixtures
pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.parametrize("store_url", ["sqlite"], indirect=True),
]
Open = Callable[..., Page]
MORE = """
[[contrasts]]
first = "slow"
second = "fast"
metric = "epochs_to:val_accuracy:0.9"
expect = "higher"
margin = 1.2
ratio = true
"""


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = datetime.now(timezone.utc) - timedelta(minutes=30)
    return clock


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@pytest.fixture
def mine(api: Api, start: Start) -> Callable[..., StudyView]:
    """Start a study as who opens the pages."""
    me = Actor(name=api.client().get_me().name)
    return lambda toml=STUDY, **asked: start(toml, actor=me, **asked)


def accuracy(arm: str, seed: int) -> float:
    return 0.88 + 0.002 * seed + (0.03 if arm == "fast" else 0.0)


def test_the_first_screen_says_claim_verdict_size_and_what_was_decided(
    api: Api, mine: Start, finish: Finish, store: Store, open_page: Open
) -> None:
    study = mine(STUDY + MORE, seeds=8).study
    finish(study, lambda arm, seed: accuracy(arm, seed) + (0.0004 if arm == "fast" and seed % 2 else 0.0))
    advance_studies(store)
    page = open_page(api, f"/studies/{study}")
    expect(page.get_by_role("heading", level=1)).to_have_text("A larger rate learns faster.")
    said = page.locator(".said")
    expect(said).to_contain_text("Confirmed: test_accuracy of fast is higher than that of slow: +0.0302")
    expect(said).to_contain_text("95 % interval")
    expect(page.locator("#part-head")).to_contain_text(
        "Decided beforehand, with 8 seeds of each arm: test_accuracy of fast is higher than that of slow, "
        "and a difference up to 0.01 counts as none; epochs_to:val_accuracy:0.9 of slow is higher"
    )
    box = page.locator("#part-head").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 400
    forest = page.locator("#forest-1 svg")
    for words in ("fast against slow", "confirmed", "epochs_to:val_accuracy:0.9"):
        expect(forest).to_contain_text(words)
    dots = page.locator("#dots-2 svg")
    assert dots.locator("circle").count() == 16
    assert dots.locator("path[stroke-opacity]").count() == 8
    expect(page.locator("#curves-3 polygon")).to_have_count(2)
    expect(page.locator("#dots-4")).to_contain_text("hollow: never arrived")
    expect(page.locator("#dots-4 svg")).to_contain_text("slow: ")
    expect(page.locator("#part-contrasts")).to_contain_text("never arrived")


def test_runs_lead_to_their_jobs_and_jobs_to_their_study(api: Api, mine: Start, open_page: Open) -> None:
    study = mine().study
    page = open_page(api, f"/studies/{study}")
    expect(page.locator("#seed-0 td").first).to_contain_text("not ended")
    page.locator("#seed-0 td a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("seed 0")
    page.get_by_role("link", name=f"study {study}", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A larger rate learns faster.")
    page.get_by_text("All jobs that it queued").click()
    expect(page.locator("#part-line")).to_contain_text("12")


def test_a_page_moves_with_its_study(
    api: Api, mine: Start, finish: Finish, store: Store, open_page: Open
) -> None:
    study = mine().study
    page = open_page(api, f"/studies/{study}")
    expect(page.locator("html[data-live]")).to_be_attached()
    expect(page.locator(".alert").first).to_contain_text("Not complete: 12 of 12 runs")
    expect(page.locator(".said")).to_contain_text("So far: Too weak")
    finish(study, accuracy, most=7)
    advance_studies(store)
    expect(page.locator("#part-head")).to_contain_text("7 of 12 runs have ended")
    finish(study, accuracy)
    advance_studies(store)
    expect(page.locator(".said")).to_contain_text("Confirmed")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_now_and_the_list_show_how_far_studies_are(
    api: Api, mine: Start, finish: Finish, store: Store, open_page: Open
) -> None:
    running, done = mine().study, mine(STUDY.replace("0.1", "0.2")).study
    finish(done, accuracy)
    finish(running, accuracy, most=3)
    advance_studies(store)
    page = open_page(api, "/")
    row = page.locator(f"#study-{running}")
    expect(row).to_contain_text("3/12")
    expect(page.locator(f"#study-{done}")).to_have_count(0)
    page.get_by_role("link", name="Studies", exact=True).click()
    expect(page.locator(f"#study-{running}")).to_contain_text("running")
    expect(page.locator(f"#study-{done} .verdict")).to_have_text("confirmed")
    page.locator(f"#study-{done}").get_by_role("link", name="rate", exact=True).click()
    expect(page.locator(".said")).to_contain_text("Confirmed")


def test_each_act_of_a_study(api: Api, mine: Start, finish: Finish, store: Store, open_page: Open) -> None:
    study = mine().study
    page = open_page(api, f"/studies/{study}", java_script_enabled=False)
    state = page.locator("#part-head .state")
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Extend")).to_have_count(0)
    page.get_by_role("button", name="Rerun").click()
    expect(state).to_have_text("running")
    page.get_by_label("Seeds").fill("6")
    page.get_by_role("button", name="Extend").click()
    expect(page.locator(".alert")).to_contain_text("has 6 seeds. Ask for more")
    page.go_back()
    page.get_by_label("Seeds").fill("8")
    page.get_by_role("button", name="Extend").click()
    expect(page.locator("#part-head")).to_contain_text("0 of 16 runs have ended")
    expect(page.locator("#part-head")).to_contain_text("Extended afterwards: 6 seeds were decided beforehand")
    finish(study, accuracy, outcome=Outcome.FAILED, cause=Cause.ERROR, most=3)
    advance_studies(store)
    page.reload()
    expect(state).to_have_text("held")
    expect(page.locator("#part-head")).to_contain_text("3 runs in a row have failed alike")
    page.get_by_role("button", name="Rerun").click()
    expect(state).to_have_text("running")


def test_who_may_not_sees_no_button_and_is_refused(api: Api, start: Start, open_page: Open) -> None:
    study = start().study  # ada's
    secret = api.client().create_token(TokenRequest(name="reader", scope="read")).secret
    page = open_page(api, f"/studies/{study}", sign_in=False)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A larger rate learns faster.")
    assert page.locator("main button").count() == 0
    for address in (f"/studies/{study}/cancel", "/studies"):
        status, _, text = send(page, address, "toml=")
        assert status in (403, 422), text
    page.goto(f"{api.url}/studies")
    expect(page.locator(f"#study-{study}")).to_be_visible()
    assert page.locator("main button").count() == 0
    assert len(api.client().list_studies()) == 1


def test_a_study_file_is_refused_in_words_and_kept_then_started(
    api: Api, start: Start, open_page: Open
) -> None:
    page = open_page(api, "/studies", java_script_enabled=False)
    page.get_by_text("Start a study file of your own").click()
    page.get_by_label("Study file").fill(STUDY.replace("margin = 0.01", "margin = -1"))
    page.get_by_label("seeds", exact=True).fill("7")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".alert")).to_contain_text("margin of test_accuracy must be above 0")
    expect(page.get_by_label("Study file")).to_have_value(
        STUDY.replace("margin = 0.01", "margin = -1").strip()
    )
    expect(page.get_by_label("seeds", exact=True)).to_have_value("7")
    assert api.client().list_studies() == []
    page.get_by_label("Study file").fill(STUDY)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#part-head")).to_contain_text("0 of 14 runs have ended")


def test_a_study_file_is_uploaded(api: Api, start: Start, open_page: Open, tmp_path: Path) -> None:
    path = tmp_path / "mine ü.toml"
    path.write_text(STUDY.replace("A larger rate", "Ein größerer Wert"))
    page = open_page(api, "/studies")

    def upload(file: Path) -> None:
        page.get_by_text("Start a study file of your own").click()
        page.get_by_label("or upload it").set_input_files(file)
        page.get_by_label("scale", exact=True).fill("quick")
        page.get_by_role("button", name="Start", exact=True).click()

    upload(path)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ein größerer Wert learns faster.")
    path.write_text(STUDY + "#" * 256 * 1024)
    page.goto(f"{page.url.rpartition('/')[0]}")
    upload(path)
    expect(page.locator(".alert")).to_contain_text("A study file has at most 262,144 bytes")
    path.write_bytes(b"\xff\xfe\x00")
    page.goto(f"{page.url}")
    upload(path)
    expect(page.locator(".alert")).to_contain_text("is no text in UTF-8")


def test_each_study_of_the_catalog_starts_by_a_button(api: Api, start: Start, open_page: Open) -> None:
    catalog = api.client().list_study_catalog()
    page = open_page(api, "/studies")
    for one in catalog:
        expect(page.locator(f"#{one.name}")).to_contain_text(one.claim)
    if catalog:
        form = page.locator(".catalog form").first
        fields = {one.get_attribute("name") or "": one.input_value() for one in form.locator("input").all()}
        form.get_by_role("button").click()
        expect(page.locator("#part-head")).to_contain_text("running")
        _, url, _ = send(page, "/studies", urlencode(fields))
        assert url == page.url  # the same form once more starts no second one
        assert len(api.client().list_studies()) == 1


def test_pictures_and_evidence_are_files(
    api: Api, mine: Start, finish: Finish, store: Store, open_page: Open
) -> None:
    study = mine(TUNED).study
    finish(study, accuracy)
    advance_studies(store)
    finish(study, accuracy)
    advance_studies(store)
    page = open_page(api, f"/studies/{study}")
    page.get_by_text("4 runs have tuned the arms").click()
    expect(page.locator("#tuning")).to_contain_text("optimizer.lr=0.01")
    base = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    for name in ("forest", "dots", "curves", "curves.svg?metric=val_accuracy&width=1200"):
        address = f"{base}/studies/{study}/{name}" + ("" if "?" in name else ".svg")
        answer = page.request.get(address)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.text().startswith("<svg ")
    for name in ("cat.svg", "dots.svg?metric=nothing", "forest.svg?width=1", "forest.svg?color=red"):
        assert page.request.get(f"{base}/studies/{study}/{name}").status in (404, 422)
    with page.expect_download() as begun:
        page.get_by_role("link", name="download", exact=True).first.click()
    assert begun.value.suggested_filename == f"study-{study}-evidence.json"
    assert '"training_digest"' in Path(begun.value.path()).read_text()


def test_what_cannot_be_judged_says_why(
    api: Api, mine: Start, finish: Finish, store: Store, open_page: Open
) -> None:
    study = mine().study
    finish(study, accuracy)
    advance_studies(store)
    with store.transaction() as tx:
        tx.connection.exec_driver_sql(f"UPDATE studies SET definition = '[]' WHERE id = {study}")
    page = open_page(api, f"/studies/{study}")
    expect(page.locator(".alert")).to_contain_text("There is no report")
    page.goto(page.url.rpartition("/")[0])
    expect(page.locator(f"#study-{study}")).to_contain_text("cannot be judged")


@pytest.mark.parametrize(
    "address", ["/studies?limit=0", "/studies?x=1", "/studies/x", "/studies/99999999999"]
)
def test_an_address_that_says_nonsense_is_explained(api: Api, open_page: Open, address: str) -> None:
    expect(open_page(api, address).locator(".alert")).to_be_visible()


def test_names_from_outside_are_text(
    api: Api, start: Start, finish: Finish, store: Store, open_page: Open
) -> None:
    evil = HOSTILE + "z" * 1500
    toml = STUDY.replace("A larger rate learns faster.", evil).replace("nobody", evil) + MORE
    toml = toml.replace('network = "softmax"', f'published = "{evil}"\nnetwork = "softmax"')
    longest = "a" * 40
    study = start(toml.replace("fast", longest), seeds=8).study
    finish(study, accuracy, outcome=Outcome.FAILED, cause=Cause.ERROR, most=1)
    advance_studies(store)
    finish(study, accuracy, most=4)
    advance_studies(store)
    check_page(open_page, api, f"/studies/{study}", "<script>alert(1)</script>", longest)
    check_page(open_page, api, "/studies", "Catalog")
    check_page(open_page, api, "/", "Studies")
