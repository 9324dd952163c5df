"""People come in by a link or a token, and go; nobody else sees a page."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import TokenRequest
from tests.api.conftest import Api

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def test_a_link_opens_the_first_page(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, sign_in=False)
    page.goto(shared_api.client().make_link().url)
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    expect(page.locator("header .me")).to_contain_text(shared_api.client().get_me().name)


def test_a_token_opens_the_page_that_was_asked_for_until_it_is_revoked(
    shared_api: Api, open_page: Open
) -> None:
    client = shared_api.client()
    token = client.create_token(TokenRequest(name="tablet"))
    page = open_page(shared_api, "/", sign_in=False)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Token").fill(token.secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("header .me")).to_contain_text(client.get_me().name)
    client.revoke_token(token.token)
    page.reload()
    expect(page.get_by_text("not valid")).to_be_visible()


def test_a_wrong_token_opens_nothing(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/", sign_in=False)
    page.get_by_label("Token").fill("cnn_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []


def test_who_signs_out_sees_no_page(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api)
    page.locator("header .me summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(shared_api.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("back", ["//example.org/", "/\\example.org", "https://example.org", "javascript:0"])
def test_signing_in_leads_nowhere_else(shared_api: Api, open_page: Open, back: str) -> None:
    secret = shared_api.client().create_token(TokenRequest(name=f"to {back}")).secret
    page = open_page(shared_api, "/", sign_in=False)
    page.locator("input[name=back]").evaluate("(field, back) => { field.value = back }", back)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    assert page.url == shared_api.url + "/"
