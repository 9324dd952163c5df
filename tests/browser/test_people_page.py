"""The page of people, their tokens and hooks, and the audit."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import Page, expect

from cnnctl.views.requests import HookRequest, TokenRequest
from service.commands.people.credentials import create_token
from service.domain.jobs import Attempt, JobId
from service.domain.people import SCHEDULER, Actor
from service.domain.states import Action, Outcome, Subject
from service.store.jobs.endings import end_attempt
from service.store.people import audit
from service.store.transaction import Store
from tests.api.conftest import Api
from tests.browser.checks import HOSTILE, check_page
from tests.conftest import Clock

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = datetime.now(timezone.utc) - timedelta(days=3)
    return clock


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


def use(store: Store, attempt: Attempt, clock: Clock, hours: float) -> None:
    """Let an attempt fail after some hours."""
    clock.advance(hours * 3600)
    with store.transaction() as tx:
        end_attempt(tx, attempt, Outcome.FAILED, reason="", actor=SCHEDULER, retry_limit=0)


@pytest.fixture
def used(store: Store, clock: Clock, claimed: Callable[..., Attempt], add_job: Callable[..., JobId]) -> None:
    """Ada used three GPU-hours, and somebody with a hostile name one."""
    use(store, claimed(), clock, 3)
    use(store, claimed(add_job(owner=HOSTILE)), clock, 1)


@pytest.mark.usefixtures("used")
def test_it_says_who_used_most_and_what_each_may_have(api: Api, open_page: Open) -> None:
    api.client().change_user("ada", {"weight": 2, "max_gpus": 4})
    page = open_page(api, "/people")
    expect(page.locator("#part-line")).to_contain_text(
        "ada used 75 % of the 4.0 GPU-hours of the last 7 days"
    )
    row = page.locator("#person-ada")
    for words in ("3.0 (100 %)", "no project 3.0", "2 (50 %)", "10,000", "never"):
        expect(row).to_contain_text(words)
    days = page.locator(".days")
    expect(days.locator(".key").first).to_have_text("ada 3.0")
    assert sum(float(rect.get_attribute("height") or 0) for rect in days.locator(".stack rect").all()) >= 100
    page.get_by_role("link", name="day", exact=True).click()
    expect(page.locator("#part-line")).to_contain_text("nobody used a GPU in the last day")
    assert page.url.endswith("/people?since=1d")
    expect(page.locator(".same")).to_contain_text("cnnctl usage --since 1d")


def test_an_administrator_changes_what_somebody_may_have(api: Api, open_page: Open) -> None:
    api.client().change_user("ada", {"max_gpus": 4, "may_use_high": True})
    page = open_page(api, "/people?since=30d", java_script_enabled=False)
    page.locator("#person-ada").get_by_role("link", name="Change").click()
    form = page.locator("#change")
    form.get_by_label("Weight").fill("2.5")
    form.get_by_label("Most GPUs at once").fill("")
    form.get_by_label("may use priority high").uncheck()
    api.client().change_user("ada", {"max_queued": 7})  # meanwhile, and so it stays
    form.get_by_role("button", name="Save").click()
    expect(page.locator("#person-ada")).to_contain_text("2.5")
    assert page.url.endswith("/people?since=30d")
    (ada,) = [user for user in api.client().list_users() if user.name == "ada"]
    assert (ada.weight, ada.max_gpus, ada.max_queued, ada.may_use_high) == (2.5, None, 7, False)
    (newest,) = api.client().list_audit(subject="user", limit=1)
    assert set(newest.after or {}) == {"weight", "max_gpus", "may_use_high"}


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("Weight", "heavy", "The weight is a number"),
        ("Weight", "nan", "--weight"),
        ("Most GPUs at once", "-1", "whole number"),
        ("Most jobs waiting", "99999999", "--max-queued"),
        ("Weight", "1", "Nothing is to be changed"),
    ],
)
def test_what_cannot_be_is_said(shared_api: Api, page: Page, label: str, value: str, words: str) -> None:
    page.goto("/people?change=ada")
    page.locator("#change").get_by_label(label).fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".alert")).to_contain_text(words)
    assert not [user for user in shared_api.client().list_users() if user.name == "ada"]


def test_a_token_is_made_shown_once_and_revoked(api: Api, open_page: Open) -> None:
    page = open_page(api, "/people", java_script_enabled=False)
    page.get_by_label("Name of a new one").fill("laptop")
    page.get_by_label("Days").fill("2")
    page.locator("select[name=scope]").select_option("read")
    with page.expect_response(lambda answer: answer.url.endswith("/people/tokens")) as made:
        page.get_by_role("button", name="Make a token").click()
    secret = page.locator("#secret").inner_text()
    assert secret.startswith("cnn_")
    assert made.value.headers["cache-control"] == "no-store"
    assert secret not in page.url
    (token,) = api.client().list_tokens()
    assert (token.name, token.scope, (token.expires_at - token.created_at).days) == ("laptop", "read", 2)
    page.get_by_role("link", name="Back to your tokens").click()
    expect(page.locator("#part-tokens")).to_contain_text("laptop")
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.locator("#part-tokens")).to_contain_text("have none")
    assert list(api.client().list_tokens()) == []


def test_an_administrator_sees_and_revokes_the_tokens_of_others(
    api: Api, store: Store, open_page: Open
) -> None:
    create_token(store, TokenRequest(name="phone", scope="read"), actor=Actor(name="bob"))
    page = open_page(api, "/people", java_script_enabled=False)
    expect(page.locator("#part-tokens")).to_contain_text("have none")
    page.get_by_text("1 of others").click()
    page.get_by_role("button", name="Revoke phone of bob").click()
    expect(page.locator("#part-tokens")).not_to_contain_text("of others")
    assert list(api.client().list_tokens(everybody=True)) == []


def works(page: Page, api: Api, secret: str) -> bool:
    """Whether a secret is that of a token."""
    headers = {"Authorization": f"Bearer {secret}"}
    return page.context.browser.new_context().request.get(f"{api.url}/api/v1/me", headers=headers).ok  # type: ignore[union-attr]


def test_a_double_click_makes_one_token(api: Api, open_page: Open) -> None:
    page = open_page(api, "/people")
    page.get_by_label("Name of a new one").fill("laptop")
    page.get_by_role("button", name="Make a token").dblclick()
    secret = page.locator("#secret").inner_text()
    assert [token.name for token in api.client().list_tokens()] == ["laptop"]
    assert works(page, api, secret)


def test_who_missed_a_secret_makes_another_token_instead(api: Api, open_page: Open) -> None:
    page = open_page(api, "/people", java_script_enabled=False)
    page.get_by_label("Name of a new one").fill("laptop")
    base, key = page.url.removesuffix("/people"), page.locator("[name=key]").get_attribute("value") or ""
    form: dict[str, str | float | bool] = {"key": key, "name": "laptop", "days": "90", "scope": "submit"}
    first = page.request.post(f"{base}/people/tokens", form=form, headers={"Origin": base}).text()
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator(".alert")).to_contain_text("laptop was made once")
    assert len(api.client().list_tokens()) == 1
    page.get_by_role("button", name="Make another instead").click()
    secret = page.locator("#secret").inner_text()
    assert [token.name for token in api.client().list_tokens()] == ["laptop"]
    assert works(page, api, secret)
    assert not works(page, api, first.partition('id="secret">')[2].partition("<")[0])


def test_who_came_in_by_a_token_makes_none_and_changes_nobody(api: Api, open_page: Open) -> None:
    made = api.client().create_token(TokenRequest(name="reader", scope="read"))
    page = open_page(api, "/people?change=ada", sign_in=False)
    page.get_by_label("Token").fill(made.secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main")).to_contain_text("You came in by token reader")
    assert page.locator("#change").count() == 0
    assert page.locator("main form").count() == 0
    headers = {"Origin": api.url}
    refused: list[tuple[str, dict[str, str | float | bool]]] = [
        ("tokens", {"name": "more", "days": "1", "scope": "read"}),
        ("change", {"name": "ada", "weight": "5"}),
        ("hooks", {"channel": "mail", "address": "ada@example.org", "on_end": "on"}),
    ]
    for address, form in refused:
        answer = page.request.post(f"{api.url}/people/{address}", form=form, headers=headers)
        assert answer.status == 403, address
    assert [token.name for token in api.client().list_tokens()] == ["reader"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "x", "days": "soon", "scope": "read"}, "The days are a number"),
        ({"name": "x", "days": "nan", "scope": "read"}, "--expires"),
        ({"name": "x", "days": "1", "scope": "all"}, "The scope is one of"),
        ({"days": "1", "scope": "read"}, "--name"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    page: Page, form: dict[str, str | float | bool], words: str
) -> None:
    page.goto("/people")
    base = page.url.removesuffix("/people")
    answer = page.request.post(f"{base}/people/tokens", form=form, headers={"Origin": base})
    assert (answer.status, words in answer.text()) == (422, True), answer.text()


def test_hooks_are_added_and_removed(api: Api, open_page: Open) -> None:
    page = open_page(api, "/people", java_script_enabled=False)
    page.get_by_label("Address").fill("ada@example.org")
    page.get_by_label("one fails").check()
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#part-hooks")).to_contain_text("ada@example.org")
    (hook,) = api.client().list_hooks()
    assert (hook.channel, list(hook.on)) == ("mail", ["end", "failure"])
    page.get_by_role("button", name="Remove hook").click()
    expect(page.locator("#part-hooks")).to_contain_text("You are told nowhere")
    page.get_by_label("Address").fill("nowhere at all")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".alert")).to_contain_text("--mail takes one address")


def add_entries(store: Store, actor: str, count: int) -> None:
    with store.transaction() as tx:
        for number in range(count):
            audit.add_entry_about(
                tx,
                Subject.HOST,
                f"host{number}",
                Action.REMOVED,
                actor=Actor(name=actor, via="socket"),
                detail=HOSTILE if number == 0 else "",
            )


def test_the_audit_is_in_words_filtered_and_in_pages(
    api: Api, open_page: Open, store: Store, clock: Clock
) -> None:
    clock.now = datetime.now(timezone.utc)
    add_entries(store, "bob", 101)
    api.client().change_user("ada", {"weight": 2})
    page = open_page(api, "/people/audit", java_script_enabled=False)
    expect(page.locator("tbody tr").first).to_contain_text("added session")
    expect(page.locator("tbody tr").nth(2)).to_contain_text("changed user ada · weight 1.0 → 2")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.get_by_label("Who").fill("bob")
    page.get_by_label("About").select_option("host")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr").first).to_contain_text("bob removed host host100")
    expect(page.locator(".same")).to_contain_text("cnnctl audit --user bob --about host")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("host0")
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    page.goto(page.url.split("?")[0] + "?since=1m&actor=nobody")
    expect(page.get_by_text("Nothing was done")).to_be_visible()


@pytest.mark.parametrize(
    "address",
    [
        "/people?since=yesterday",
        "/people/audit?since=%FF",
        "/people/audit?subject=me",
        "/people/audit?before=-1",
    ],
)
def test_an_address_that_says_nonsense_is_explained(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".alert")).to_be_visible()


@pytest.mark.usefixtures("used")
def test_words_from_outside_are_text(api: Api, open_page: Open, store: Store) -> None:
    add_entries(store, "\u202eeve \x1b[31m" + "z" * 10_000, 1)
    api.client().create_token(TokenRequest(name="<script>alert(1)</script>"))
    api.client().add_hook(
        HookRequest(channel="webhook", address="https://example.org/" + "y" * 500, on=["end"])
    )
    check_page(open_page, api, "/people?change=" + "x" * 200, "<script>alert(1)</script>", "example.org")
    check_page(open_page, api, "/people/audit", "\\u202eeve \\x1b[31m", "<script>alert(1)</script>")
