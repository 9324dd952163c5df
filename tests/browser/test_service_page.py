"""The page of the service itself, for administrators: what is wrong, and what on the disk may go."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import TokenRequest
from tests.api.conftest import Api
from tests.browser.checks import check_page
from tests.browser.conftest import send

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def test_an_administrator_sees_what_is_wrong(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/")
    page.locator("header .me summary").click()
    page.get_by_role("link", name="Examine the service").click()
    expect(page.get_by_role("row", name="python")).to_contain_text("nothing")
    expect(page.locator(".same code")).to_have_text("cnnctl doctor")
    check_page(open_page, shared_api, "/service", "python", "Disk")


def test_whole_checkpoints_are_read_where_one_asks_for_it(shared_api: Api, page: Page) -> None:
    page.goto("/service")
    page.get_by_role("link", name="with whole checkpoints").click()
    expect(page.locator(".same code")).to_have_text("cnnctl doctor --deep")
    expect(page.get_by_role("row", name="python")).to_contain_text("nothing")


def test_what_would_go_is_shown_before_it_goes(shared_api: Api, open_page: Open) -> None:
    orphan = shared_api.home / "runs" / "4711" / "1"
    orphan.mkdir(parents=True)
    page = open_page(shared_api, "/service", java_script_enabled=False)
    expect(page.get_by_role("button", name="Delete it")).to_have_count(0)
    page.get_by_label("Days").fill("0")
    page.get_by_label("also run folders").check()
    page.get_by_role("button", name="Show what would go").click()
    expect(page.locator("tbody")).to_contain_text("4711")
    assert page.locator(".same code").inner_text() == "cnnctl gc --older-than 0 --orphans --dry-run"
    assert orphan.exists()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator(".line")).to_contain_text("are gone")
    assert not orphan.exists()


@pytest.mark.parametrize("days", ["", "-1", "soon"])
def test_days_that_are_none_are_refused(page: Page, days: str) -> None:
    page.goto("/service")
    status, _, text = send(page, "/service/garbage", f"days={days}&rehearse=yes")
    assert (status, "The days are a whole number" in text) == (422, True)


def test_nobody_else_may(shared_api: Api, open_page: Open) -> None:
    secret = shared_api.client().create_token(TokenRequest(name="submitter", scope="submit")).secret
    page = open_page(shared_api, "/service", sign_in=False, java_script_enabled=False)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".alert")).to_contain_text("administrator")
    expect(page.get_by_role("link", name="Examine the service")).to_have_count(0)
    headers = {"Origin": shared_api.url}
    form: dict[str, str | float | bool] = {"days": "0"}
    answer = page.request.post(f"{shared_api.url}/service/garbage", form=form, headers=headers)
    assert answer.status == 403
