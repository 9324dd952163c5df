"""A real Chromium that looks at a real API."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.api.conftest import Api, folder, make_api, shared_api
from tests.browser.pages import NARROW, WIDE, Pages
from tests.servers import find_free_port

__all__ = ["NARROW", "WIDE", "folder", "make_api", "shared_api"]
HOW_TO_GET_ONE = "The pages are tested in Chromium, which is not here. On Debian: apt-get install chromium"


def find_chromium() -> str | None:
    """Where Chromium is on this machine."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def send(page: Page, address: str, form: str) -> tuple[int, str, str]:
    """Send a form as the page would, whatever is in it; the status, where it led to, and what is there."""
    status, url, text = page.evaluate(
        """async ([address, form]) => {
            const answer = await fetch(address, { method: "POST", body: new URLSearchParams(form) });
            return [answer.status, answer.url, await answer.text()];
        }""",
        [address, form],
    )
    return int(status), str(url), str(text)


@pytest.fixture(scope="module")  # its event loop would stand in the way of other folders' tests
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(HOW_TO_GET_ONE)
        pytest.skip(HOW_TO_GET_ONE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def store_url(sqlite_with_tables: Path, tmp_path: Path) -> str:
    """Pages ask what the API asks, which is tested on each kind of database."""
    shutil.copyfile(sqlite_with_tables, tmp_path / "cnnctl.db")
    return f"sqlite:///{tmp_path / 'cnnctl.db'}"


@pytest.fixture(scope="module")
def pages(chromium: Browser) -> Pages:
    return Pages(chromium)


@pytest.fixture
def open_page(pages: Pages, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open pages, each in a window that no other page of the test is in."""
    yield pages.open
    pages.end_test(keep=request.node.get_closest_marker("own_page") is None)


@pytest.fixture(scope="module")
def page(chromium: Browser, shared_api: Api) -> Iterator[Page]:
    """One page for all tests of a file that go to an address and look at what is there."""
    pages = Pages(chromium)
    yield pages.open(shared_api)
    pages.end_test(keep=False)


@pytest.fixture(scope="module")
def port() -> int:
    """One for all APIs of a file, so that the browser knows their files already."""
    return find_free_port()
