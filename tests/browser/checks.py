"""What must hold of every page."""

from collections.abc import Callable, Sequence
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.api.conftest import Api
from tests.browser.conftest import NARROW

BEYOND = """width => [...document.querySelectorAll("body *")]
    .filter(one => one.getBoundingClientRect().right > width)
    .map(one => `${one.tagName} ${one.className}`)"""
HOSTILE = "<script>alert(1)</script> & <b>bold</b> " + "x" * 200


def list_barriers(page: Page) -> Sequence[str]:
    """What of a page keeps people out who cannot see or point, in light or dark, as axe-core finds it."""
    return [*_list_barriers(page, "light"), *_list_barriers(page, "dark")]


def _list_barriers(page: Page, scheme: Literal["light", "dark"]) -> Sequence[str]:
    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{scheme}: {one['id']}: {one['nodes']}" for one in serious]


def check_fits(page: Page) -> None:
    """Nothing scrolls sideways in a narrow window, nor at 200 % zoom of a usual one."""
    for width in (NARROW["width"], 720):
        page.set_viewport_size({"width": width, "height": 844})
        beyond = page.evaluate(BEYOND, width)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            raise AssertionError(f"wider than {width}: {beyond[:5]}")


def check_page(open_page: Callable[..., Page], api: Api, address: str, *words: str) -> Page:
    """A page is accessible, in light and dark; fits; and has the words without JavaScript."""
    page = open_page(api, address)
    assert list_barriers(page) == []
    check_fits(page)
    bare = open_page(api, address, java_script_enabled=False)
    for word in words:
        assert word in bare.inner_text("main"), word
    assert "<script>alert" not in bare.content()
    return page
