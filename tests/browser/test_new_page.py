"""The form of a new job says what it would come to, what is wrong with which field, and queues one job."""

import shlex
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from cnnctl.views.requests import SubmissionRequest, TokenRequest
from tests.api.conftest import Api
from tests.browser.checks import list_barriers
from tests.browser.conftest import NARROW, send

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
TRY, SUBMIT = "Try (dry run)", "Submit"


def queue(api: Api, **fields: object) -> int:
    """A job that others are made like."""
    request = SubmissionRequest(architecture="lenet5", fields=fields, priority="low", project="vision")
    return api.client().submit(request).job


def test_without_scripts_a_job_is_tried_then_queued(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new", java_script_enabled=False)
    page.locator("[id='field-architecture']").fill("lenet5")
    page.locator("[id='field-optimizer.lr']").fill("0.05")
    page.get_by_role("button", name=TRY).click()
    expect(page.locator("#answer")).to_contain_text("It would come to this")
    assert page.locator("[id='field-training.epochs']").get_attribute("placeholder") == "10"
    command = page.locator(".same code").inner_text()
    assert command == "cnnctl submit lenet5 --lr 0.05"
    before = shared_api.client().count_jobs().total
    page.locator("[id='field-tags']").fill("made here")
    page.get_by_role("button", name=SUBMIT).click()
    number = int(page.url.rsplit("/", 1)[1])
    job = shared_api.client().get_job(number)
    assert (job.spec["optimizer"]["lr"], list(job.tags)) == (0.05, ["here", "made"])
    assert shared_api.client().count_jobs().total == before + 1


def test_what_is_wrong_is_said_beside_its_field(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new", java_script_enabled=False)
    page.locator("[id='field-architecture']").fill("lenet5")
    page.locator("[id='field-model.dropout']").fill("spatal:0.3")
    page.locator("summary", has_text="schedule").click()
    page.locator("[id='field-schedule.factor']").fill("2")
    page.get_by_role("button", name=SUBMIT).click()
    expect(page.locator("[id='error-schedule.factor']")).to_contain_text("schedule.factor")
    said = page.locator("#answer .alert").inner_text()
    assert said.count("schedule.factor") == 1  # with what is wrong, not before it once more
    expect(page.locator("[id='field-schedule.factor']")).to_be_visible()  # though its section is folded
    page.locator("[id='field-schedule.factor']").fill("")
    page.get_by_role("button", name=SUBMIT).click()
    expect(page.locator("[id='error-model.dropout']")).to_contain_text("Did you mean spatial?")
    expect(page.locator("#answer a", has_text="model.dropout")).to_be_visible()
    assert page.locator("[id='field-model.dropout']").input_value() == "spatal:0.3"


def test_a_double_click_makes_one_job(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new?architecture=softmax")
    before = shared_api.client().count_jobs().total
    form = page.locator("[data-new]").evaluate("form => new URLSearchParams(new FormData(form)).toString()")
    places = {send(page, "/new", form)[1] for _ in range(2)}
    assert len(places) == 1
    assert shared_api.client().count_jobs().total == before + 1
    status, _, text = send(page, "/new", form + "&tags=other")
    assert status == 409
    assert "was changed after that" in text
    assert shared_api.client().count_jobs().total == before + 1


def test_a_refusal_stays_in_sight_until_one_types(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new?architecture=softmax")
    expect(page.locator("#answer")).to_contain_text("It would come to this")
    form = page.locator("[data-new]").evaluate("form => new URLSearchParams(new FormData(form)).toString()")
    send(page, "/new", form)
    page.locator("[id='field-tags']").fill("other")
    with page.expect_response("**/new/form"):
        pass
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name=SUBMIT).click()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#answer .alert")).to_contain_text("was changed after that")
    assert not [url for url in asked if url.endswith("/new/form")]
    page.locator("[id='field-tags']").fill("another")
    expect(page.locator("#answer")).to_contain_text("It would come to this")


def test_like_a_job_only_what_differs_is_sent(shared_api: Api, open_page: Open) -> None:
    base = queue(shared_api, **{"optimizer.name": "adam", "training.epochs": 3})
    page = open_page(shared_api, f"/new?like={base}", java_script_enabled=False)
    expect(page.get_by_role("heading", name=f"like job {base}")).to_be_visible()
    assert page.locator("[id='field-training.epochs']").get_attribute("placeholder") == "3"
    page.locator("[id='field-training.seed']").fill("5")
    page.get_by_role("button", name=SUBMIT).click()
    job = shared_api.client().get_job(int(page.url.rsplit("/", 1)[1]))
    assert (job.like, job.priority, job.project) == (base, "low", "vision")
    assert (job.spec["training"]["seed"], job.spec["training"]["epochs"]) == (5, 3)
    differences = shared_api.client().diff(base, job.job).spec
    assert [one.field for one in differences] == ["training.seed"]


def test_while_one_types_the_answer_follows(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new")
    page.locator("[id='field-architecture']").press_sequentially("alexnet")
    expect(page.locator("#answer")).to_contain_text("227 pixels")
    expect(page.locator("[id='field-model.width']")).to_have_count(1)  # an own field of this network
    expect(page.locator("[id='field-model.dropout']")).to_have_attribute("placeholder", "standard:0.5")
    page.locator("[id='field-model.dropout']").press_sequentially("spatal:0.3")
    expect(page.locator("[id='error-model.dropout']")).to_be_visible()
    expect(page.locator(".same code")).to_have_text("cnnctl submit alexnet --dropout spatal:0.3")
    page.locator("[id='field-model.dropout']").fill("")
    expect(page.locator("[id='error-model.dropout']")).to_have_count(0)
    expect(page.locator("[id='field-model.dropout']")).to_be_focused()


def test_an_older_answer_never_overwrites_a_newer_one(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new")
    held: list[Route] = []

    def hold_back_the_first(route: Route) -> None:
        held.append(route) if "softmax" in (route.request.post_data or "") else route.continue_()

    page.route("**/new/form", hold_back_the_first)
    with page.expect_request("**/new/form"):
        page.locator("[id='field-architecture']").fill("softmax")
    page.locator("[id='field-architecture']").fill("alexnet")
    expect(page.locator("#answer")).to_contain_text("227 pixels")
    with page.expect_response("**/new/form"):
        held[0].continue_()
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(page.locator("#answer")).to_contain_text("227 pixels")


def test_the_command_line_queues_the_same(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new?architecture=convnet4&model.norm=batch&name=it%27s&training.epochs=2")
    command = page.locator(".same code").inner_text()
    number = int(shared_api.run(*shlex.split(command)[1:]).stdout)
    page.get_by_role("button", name=SUBMIT).click()
    page.wait_for_url("**/jobs/*")
    other = int(page.url.rsplit("/", 1)[1])
    first, second = (shared_api.client().get_job(job) for job in (number, other))
    assert (first.spec, first.name) == (second.spec, second.name) == (second.spec, "it's")


def test_who_may_only_read_may_try(shared_api: Api, open_page: Open) -> None:
    secret = shared_api.client().create_token(TokenRequest(name="reader", scope="read")).secret
    page = open_page(shared_api, "/new?architecture=softmax", sign_in=False, java_script_enabled=False)
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name=SUBMIT)).to_have_count(0)
    page.get_by_role("button", name=TRY).click()
    expect(page.locator("#answer")).to_contain_text("It would come to this")
    page.locator("[data-new] button").evaluate("button => button.removeAttribute('formaction')")
    page.get_by_role("button", name=TRY).click()
    expect(page.locator(".alert")).to_contain_text("may not submit jobs")


ODD = "<script>alert(1)</script>\u202e\x1b[31m"


def test_odd_words_stay_text(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new", java_script_enabled=False, viewport=NARROW)
    for name in ("architecture", "data.dataset", "name", "tags", "note"):
        page.locator(f"[id='field-{name}']").evaluate("(field, text) => { field.value = text }", ODD)
    page.get_by_role("button", name=TRY).click()
    expect(page.locator("#answer")).to_contain_text("script")
    page.locator("[id='field-note']").evaluate("field => { field.value = 'n'.repeat(10000) }")
    page.locator("[id='field-tags']").evaluate(
        "field => { field.removeAttribute('maxlength'); field.value = 't'.repeat(10000) }"
    )
    page.get_by_role("button", name=TRY).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.mark.parametrize("like", ["999999", "x", "99999999999999999999"])
def test_a_job_that_is_not_there_is_said(page: Page, like: str) -> None:
    page.goto(f"/new?like={like}")
    expect(page.locator("#answer .alert")).to_be_visible()


def test_it_can_be_used_by_everybody(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/new?architecture=alexnet&model.dropout=odd&hold=yes")
    expect(page.locator("[id='error-model.dropout']")).to_be_visible()
    assert list_barriers(page) == []
