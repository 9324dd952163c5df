"""A real Chromium that looks at a real API."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.api.conftest import Api, folder, make_api, shared_api

__all__ = ["folder", "make_api", "shared_api"]
HOW_TO_GET_ONE = "The pages are tested in Chromium, which is not here. On Debian: apt-get install chromium"
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


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


@contextmanager
def opening(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages, signed in by a link; whatever their scripts or the browser complain of fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(api: Api, address: str = "/", *, sign_in: bool = True, **options: object) -> Page:
        link = api.client().make_link().url if sign_in else api.url
        base = urljoin(link, "/")  # the cookie is for this name
        context = chromium.new_context(**{"viewport": WIDE, "base_url": base, **options})  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None
        )
        if sign_in:
            context.request.get(link, max_redirects=0)
        page.goto(address)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    with opening(chromium) as open_one:
        yield open_one


@pytest.fixture(scope="module")
def page(chromium: Browser, shared_api: Api) -> Iterator[Page]:
    """One page for all tests of a file that go to an address and look at what is there."""
    with opening(chromium) as open_one:
        yield open_one(shared_api)
