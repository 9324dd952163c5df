"""The networks of the catalog have pages that describe them, and lead to new jobs."""

import json
import re
import shlex
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from models.catalog.lookup import ARCHITECTURES
from tests.api.conftest import Api
from tests.browser.checks import list_barriers
from tests.browser.conftest import NARROW

pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def test_the_list_leads_to_every_network(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/networks", java_script_enabled=False)
    expect(page.locator("tbody tr")).to_have_count(len(ARCHITECTURES))
    expect(page.locator("tbody")).to_contain_text(ARCHITECTURES["alexnet"].source)
    for name in ARCHITECTURES:
        page.goto(page.url)
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.locator("svg.network")).to_be_visible()
        page.go_back()


def test_a_field_changes_the_network_the_command_and_the_new_job(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/networks/alexnet", java_script_enabled=False)
    page.locator("input[name='model.dropout']").fill("spatial:0.3")
    page.locator("input[name='classes']").fill("100")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody")).to_contain_text("SpatialDropout2D")
    expect(page.locator("tbody tr", has_text="logits").last).to_contain_text("100")
    command = page.locator(".same code").inner_text()
    described = json.loads(shared_api.run(*shlex.split(command)[1:], "--json").stdout)
    assert described["layers"][-1]["output_shape"] == [100]
    assert f"{described['layers'][0]['parameters']:,}" in page.locator("tbody tr").first.inner_text()
    page.get_by_role("link", name="New job with it").click()
    assert page.locator("[id='field-model.dropout']").input_value() == "spatial:0.3"
    assert page.locator("[id='field-architecture']").input_value() == "alexnet"


def test_little_memory_is_said_in_mib(shared_api: Api, open_page: Open) -> None:
    page = open_page(shared_api, "/networks/lenet5", java_script_enabled=False)
    assert re.search(r"about [1-9]\d* MiB to train", page.locator(".line").inner_text())
    page.goto(page.url.replace("lenet5", "alexnet"))
    assert re.search(r"about \d\.\d GiB to train", page.locator(".line").inner_text())


@pytest.mark.parametrize("asked", ["model.dropout=spatal", "data.image_size=3", "model.odd=1", "classes=x"])
def test_a_network_that_cannot_be_is_explained(page: Page, asked: str) -> None:
    page.goto(f"/networks/alexnet?{asked}")
    expect(page.locator(".alert")).to_be_visible()
    expect(page.get_by_role("button", name="Show")).to_be_visible()


@pytest.mark.parametrize("name", ["odd", "%3Cscript%3E%1b", "x" * 5000], ids=["odd", "script", "long"])
def test_an_unknown_network_is_not_there(page: Page, name: str) -> None:
    page.goto(f"/networks/{name}")
    expect(page.locator(".alert")).to_contain_text("Unknown architecture")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_phone_scrolls_the_drawing_alone(shared_api: Api, open_page: Open, name: str) -> None:
    page = open_page(shared_api, f"/networks/{name}", viewport=NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.mark.parametrize("address", ["/networks", "/networks/alexnet?model.dropout=standard:0.2"])
def test_it_can_be_used_by_everybody(shared_api: Api, open_page: Open, address: str) -> None:
    page = open_page(shared_api, address)
    assert list_barriers(page) == []
