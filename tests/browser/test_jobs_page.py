"""The list of jobs shows what its address asks for, and acts on those that were checked."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import TokenRequest
from service.db.engine import make_engine
from service.domain.jobs import JobId
from service.domain.labels import Labels
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState
from service.store.jobs import jobs
from service.store.transaction import Store
from tests.api.conftest import Api
from tests.browser.checks import list_barriers
from tests.browser.conftest import NARROW, send

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
Add = Callable[..., int]
ODD = "<script>alert(1)</script>\u202e\x1b[31m"


@pytest.fixture
def store(shared_api: Api) -> Iterator[Store]:
    with closing(Store(make_engine(shared_api.environment["CNNCTL_DATABASE_URL"]))) as store:
        yield store


@pytest.fixture
def me(shared_api: Api) -> str:
    return shared_api.client().get_me().name


@pytest.fixture
def add(store: Store, me: str) -> Add:
    """Store a job of one's own, or of somebody else."""

    def add_one(
        owner: str = me, *, state: JobState = JobState.QUEUED, network: str = "lenet5", **labels: object
    ) -> int:
        with store.transaction() as tx:
            job = jobs.create_job(
                tx,
                resolve_spec(network, {}),
                owner=owner,
                reason="waits",
                scheduling=SchedulingOptions(project="vision"),
                labels=Labels(**labels),  # type: ignore[arg-type]
            )
            if state is not JobState.QUEUED:
                jobs.set_state_if(tx, job, JobState.QUEUED, state, reason="so")
        return job

    return add_one


def numbers(page: Page) -> list[int]:
    """The jobs that are shown."""
    return [int((row.get_attribute("id") or "").removeprefix("job-")) for row in page.locator("tr[id]").all()]


def test_it_shows_in_words_what_is_asked_for(shared_api: Api, open_page: Open, add: Add, me: str) -> None:
    wanted = add(tags=("words",))
    add(tags=("words",), state=JobState.CANCELLED)
    add("bob", tags=("words",))
    page = open_page(shared_api, f"/jobs?state=queued&owner={me}&tag=words")
    assert numbers(page) == [wanted]
    expect(page.locator("#part-line")).to_contain_text(f"jobs: queued, of {me}, tagged words")
    expect(page.locator("#part-line b")).to_have_text("1")
    page.locator("#count-cancelled").click()
    expect(page.locator("#part-line")).to_contain_text("cancelled, of")
    assert len(numbers(page)) == 1


def test_the_form_leads_to_the_address_and_the_command_line_lists_the_same(
    shared_api: Api, open_page: Open, add: Add
) -> None:
    expected = [add(tags=("form",), network=network) for network in ("lenet5", "convnet4")]
    page = open_page(shared_api, "/jobs", java_script_enabled=False)
    page.get_by_label("Tags").first.fill("form")
    page.get_by_label("Order").select_option("oldest")
    page.get_by_role("button", name="Show").click()
    assert numbers(page) == expected
    command = page.locator(".same code").inner_text()
    done = shared_api.run(*shlex.split(command)[1:], "--json")
    assert [one["job"] for one in json.loads(done.stdout)] == expected


def test_pages_follow_each_other_and_heads_sort(shared_api: Api, open_page: Open, add: Add) -> None:
    there = [add(owner, tags=("pages",)) for owner in ("cleo", "ada", "bob")]
    page = open_page(shared_api, "/jobs?tag=pages&limit=2&columns=job,owner,tags")
    assert numbers(page) == there[:0:-1]
    expect(page.locator("thead th")).to_have_count(4)
    page.get_by_role("link", name="Next page").click()
    assert numbers(page) == there[:1]
    expect(page.locator("thead th")).to_have_count(4)
    page.get_by_role("link", name="Who", exact=True).click()
    assert numbers(page) == [there[1], there[2]]
    page.get_by_role("link", name="Next page").click()
    assert numbers(page) == [there[0]]
    page.get_by_role("link", name="First page").click()
    assert numbers(page) == [there[1], there[2]]


@pytest.mark.parametrize("scripts", ["on", "off"])
def test_checked_jobs_are_acted_on_each_by_itself(
    shared_api: Api, open_page: Open, add: Add, store: Store, scripts: str
) -> None:
    tag = f"acts-{scripts}"
    first, second, left = (add(tags=(tag,)) for _ in range(3))
    page = open_page(shared_api, f"/jobs?tag={tag}", java_script_enabled=scripts == "on")
    for job in (first, second):
        page.get_by_label(f"Check job {job}").check()
    with store.transaction() as tx:  # meanwhile somebody cancels one
        jobs.set_state_if(tx, JobId(first), JobState.QUEUED, JobState.CANCELLED, reason="so")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".line")).to_have_text("1 done · 1 refused")
    expect(page.locator("main")).to_contain_text("cannot be paused: it is already cancelled")
    assert page.locator(".same code").inner_text() == f"cnnctl pause {second} {first}"
    client = shared_api.client()
    assert [client.get_job(job).state for job in (first, second, left)] == ["cancelled", "paused", "queued"]
    page.get_by_role("link", name="Back to the jobs").click()
    assert page.url.endswith(f"/jobs?tag={tag}")
    page.get_by_label(f"Check job {left}").check()
    page.get_by_label("Priority").last.select_option("low")
    page.get_by_role("button", name="Set it").click()
    assert client.get_job(left).priority == "low"


def test_what_was_done_is_not_done_again_when_its_page_is_loaded_again(
    shared_api: Api, open_page: Open, add: Add
) -> None:
    job, client = add(tags=("reload",)), shared_api.client()
    page = open_page(shared_api, "/jobs?tag=reload")
    page.get_by_label(f"Check job {job}").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".line")).to_have_text("1 done · 0 refused")
    client.resume(job)
    page.reload()
    expect(page.locator(".line")).to_have_text("1 done · 0 refused")
    assert client.get_job(job).state == "queued"
    page.get_by_role("link", name="Back to the jobs").click()
    page.get_by_label(f"Check job {job}").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".line")).to_have_text("1 done · 0 refused")
    assert client.get_job(job).state == "paused"


def test_enter_does_no_act(shared_api: Api, open_page: Open, add: Add) -> None:
    job = add(tags=("enter",))
    page = open_page(shared_api, "/jobs?tag=enter")
    page.get_by_label(f"Check job {job}").check()
    page.get_by_label(f"Check job {job}").press("Enter")
    page.get_by_role("link", name=str(job), exact=True).click()
    expect(page.locator("h1 .state")).to_have_text("queued")


def test_many_jobs_are_held_and_retried(shared_api: Api, open_page: Open, add: Add) -> None:
    waiting, stopped = (add(tags=("again",), state=state) for state in (JobState.QUEUED, JobState.CANCELLED))
    page = open_page(shared_api, "/jobs?tag=again", java_script_enabled=False)
    for button, job, state in (("Hold", waiting, "paused"), ("Retry", stopped, "queued")):
        page.get_by_label(f"Check job {job}").check()
        page.get_by_role("button", name=button).click()
        expect(page.locator(".line")).to_have_text("1 done · 0 refused")
        assert shared_api.client().get_job(job).state == state
        page.get_by_role("link", name="Back to the jobs").click()


def test_one_box_checks_all(shared_api: Api, open_page: Open, add: Add) -> None:
    there = [add(tags=("all",)) for _ in range(3)]
    page = open_page(shared_api, "/jobs?tag=all")
    page.get_by_label("Check all").check()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".line")).to_have_text("3 done · 0 refused")
    assert {shared_api.client().get_job(job).state for job in there} == {"cancelled"}


def sign_in_with(page: Page, api: Api, scope: str) -> None:
    token = api.client().create_token(TokenRequest(name=f"for {scope}", scope=scope))  # type: ignore[arg-type]
    page.goto(api.url + "/sign-in")
    page.get_by_label("Token").fill(token.secret)
    page.get_by_role("button", name="Sign in").click()


def test_who_may_not_act_has_no_buttons_and_is_refused(shared_api: Api, open_page: Open, add: Add) -> None:
    own, others = add(tags=("rights",)), add("bob", tags=("rights",))
    page = open_page(shared_api, "/", sign_in=False)
    sign_in_with(page, shared_api, "submit")  # with which nobody is an administrator
    page.goto(shared_api.url + "/jobs?tag=rights")
    expect(page.get_by_label(f"Check job {own}")).to_be_visible()
    expect(page.get_by_label(f"Check job {others}")).to_have_count(0)
    page.get_by_label(f"Check job {own}").evaluate("(box, job) => { box.value = job }", str(others))
    page.get_by_label(f"Check job {own}").check()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("main")).to_contain_text("only bob or an administrator may change it")
    sign_in_with(page, shared_api, "read")
    page.goto(shared_api.url + "/jobs?tag=rights")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert shared_api.client().get_job(others).state == "queued"


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ("act=burn&job=1", 422),
        ("act=cancel", 422),
        ("act=priority&priority=urgent&job=1", 422),
        ("act=cancel&job=x", 404),
        ("act=cancel&" + "job=1&" * 1001, 422),
    ],
    ids=["act", "none", "priority", "number", "many"],
)
def test_what_no_form_sends_is_refused(page: Page, typed: str, status: int) -> None:
    page.goto("/jobs")
    assert send(page, "/jobs/acts", typed)[0] == status


@pytest.mark.parametrize("asked", ["state=odd", "columns=odd", "odd=1", "since=odd", "limit=5000", "limit=0"])
def test_an_address_that_asks_for_nothing_there_is_says_so(page: Page, asked: str) -> None:
    page.goto(f"/jobs?{asked}")
    expect(page.locator(".alert")).to_be_visible()


def test_a_list_is_alive(shared_api: Api, open_page: Open, add: Add) -> None:
    job = add(tags=("alive",))
    page = open_page(shared_api, "/jobs?tag=alive")
    page.wait_for_selector("html[data-live]")
    page.get_by_label(f"Check job {job}").check()
    shared_api.client().pause(job)
    expect(page.locator(f"#job-{job} .state")).to_have_text("paused")
    expect(page.get_by_label(f"Check job {job}")).to_be_checked()


def test_odd_names_stay_text_and_fit_on_a_phone(shared_api: Api, open_page: Open, add: Add) -> None:
    job = add("x" * 100, name=ODD, tags=("odd", "t" * 64), note="n" * 10_000)
    page = open_page(shared_api, "/jobs?tag=odd", viewport=NARROW)
    expect(page.locator(f"#job-{job}")).to_contain_text("<script>alert(1)</script>\\u202e\\x1b[31m")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.goto(page.url + "&text=" + "<script>" * 50)
    expect(page.locator("#part-line")).to_contain_text("<script>")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_it_can_be_used_by_everybody(shared_api: Api, open_page: Open, add: Add) -> None:
    for state in (JobState.QUEUED, JobState.PAUSED, JobState.CANCELLED):
        add(tags=("axe",), state=state)
    page = open_page(shared_api, "/jobs?tag=axe&limit=2&since=7d")
    page.wait_for_selector("html[data-live]")
    assert list_barriers(page) == []
