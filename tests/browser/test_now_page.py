"""The first page: it shows what happens as it happens, and says so when it cannot."""

import os
import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import SubmissionRequest
from tests.api.conftest import Api
from tests.browser.checks import HOSTILE, check_page

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def submit(api: Api, name: str) -> int:
    request = SubmissionRequest(architecture="softmax", fields={"data.dataset": "synthetic"}, name=name)
    return api.client().submit(request).job


def test_a_new_job_comes_into_an_open_page(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api)
    expect(page.locator("html[data-live]")).to_be_attached()
    job = submit(shared_api, "comes in")
    expect(page.locator(f"#mine-{job}")).to_contain_text("comes in")
    expect(page.locator(f"#queued-{job}")).to_be_visible()
    shared_api.client().cancel(job)
    expect(page.locator(f"#queued-{job}")).to_have_count(0)
    expect(page.locator(f"#mine-{job} .state")).to_have_text("cancelled")


def test_names_from_outside_are_text(shared_api: Api, open_page: Open) -> None:
    submit(shared_api, HOSTILE)
    check_page(open_page, shared_api, "/", "Next in the queue", HOSTILE)


def test_a_page_says_that_the_service_is_away_and_heals(
    make_api: Callable[..., Api], open_page: Open
) -> None:
    api = make_api()
    page = open_page(api)
    expect(page.locator("html[data-live]")).to_be_attached()
    api.kill()
    expect(page.locator("#lost")).to_contain_text("Connection lost", timeout=10_000)
    api.start()
    job = submit(api, "while it was away")
    expect(page.locator(f"#mine-{job}")).to_be_visible(timeout=15_000)
    expect(page.locator("#lost")).to_be_hidden()


def test_an_ended_session_is_said(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api)
    other = page.context.new_page()
    other.goto(page.url)
    other.locator("header .me summary").click()
    other.get_by_role("button", name="Sign out").click()
    expect(page.locator("#lost")).to_contain_text("session has ended", timeout=30_000)
    page.evaluate("new Promise((done) => setTimeout(done, 1500))")  # what each second writes leaves it alone
    expect(page.locator("#lost")).to_contain_text("session has ended")


@pytest.mark.parametrize(("status", "said"), [(403, "may not look"), (404, "is not there any more")])
def test_a_page_that_is_refused_says_why_and_asks_no_more(
    shared_api: Api, open_page: Open, status: int, said: str
) -> None:
    page = open_page(shared_api)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/live?*", lambda route: route.fulfill(status=status))
    page.reload()
    expect(page.locator("#lost")).to_contain_text(said)
    asked.clear()
    page.evaluate("new Promise((done) => setTimeout(done, 1500))")
    assert asked == []


@pytest.mark.own_page  # moves its clock
def test_a_connection_that_died_unseen_is_noticed(make_api: Callable[..., Api], open_page: Open) -> None:
    api = make_api()
    page = open_page(api)
    page.clock.install()
    page.reload()
    expect(page.locator("html[data-live]")).to_be_attached()
    with page.expect_request("**/live?*"):  # it slept, and asks whether anybody is there
        page.clock.fast_forward("02:00:00")
    expect(page.locator("html[data-live]")).to_be_attached()
    expect(page.locator("#lost")).to_be_hidden()
    assert api.process is not None
    os.kill(api.process.pid, signal.SIGSTOP)  # nothing comes any more, and nobody hangs up
    try:
        page.clock.fast_forward("00:41")
        expect(page.locator("#lost")).to_contain_text(re.compile(r"What you see is \d+ s old"))
    finally:
        os.kill(api.process.pid, signal.SIGCONT)
    expect(page.locator("#lost")).to_be_hidden(timeout=10_000)


@pytest.mark.long  # the service says each 15 seconds that it is there
@pytest.mark.own_page  # moves its clock
def test_a_connection_on_which_nothing_changes_is_kept(make_api: Callable[..., Api], open_page: Open) -> None:
    page = open_page(make_api(), "/people")
    page.clock.install()
    browser, heard, asked = page.context.new_cdp_session(page), list[str](), list[str]()
    browser.send("Network.enable")
    browser.on("Network.eventSourceMessageReceived", lambda event: heard.append(event["eventName"]))
    page.reload()
    expect(page.locator("html[data-live]")).to_be_attached()
    for _ in range(300):
        if "still" not in heard:
            page.wait_for_timeout(100)  # which lets events of the browser come
    assert "still" in heard
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward("00:38")
    expect(page.locator("html[data-live]")).to_be_attached()
    assert [url for url in asked if "/live?" in url] == []


def test_the_search_of_the_head_finds_a_job_by_its_number(shared_api: Api, open_page: Open) -> None:
    job = submit(shared_api, "to be found")
    page = open_page(shared_api)
    page.keyboard.press("/")
    page.keyboard.type(f"#{job}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("to be found")


def test_there_is_a_page_for_what_is_not_there(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/nothing")
    expect(page.get_by_text("There is no page at /nothing")).to_be_visible()
    page.goto(page.url.replace("/nothing", "/jobs/123456"))
    expect(page.get_by_text("no job 123456", exact=False)).to_be_visible()


def test_the_search_of_the_head_finds_a_person(shared_api: Api, open_page: Open) -> None:
    me = shared_api.client().get_me().name
    page = open_page(shared_api)
    page.get_by_role("searchbox").fill(me.upper())
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(f"**/jobs?owner={me}")
    page.get_by_role("searchbox").fill(f"{me} and more")
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(f"**/jobs?text={me}+and+more")
