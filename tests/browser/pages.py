"""Opens pages in Chromium: the tests of a file have the same pages, one after the other.

A new page has a process of its own and an empty cache: it took four times the processor time of an address
that an open page goes to.
"""

from urllib.parse import urljoin

from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.api.conftest import Api

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


class Pages:
    """Pages of one browser, each of an address and of options, and what their scripts complained of."""

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._idle: dict[str, list[Page]] = {}
        self._taken: list[tuple[str, Page]] = []
        self._complaints: list[str] = []

    def open(self, api: Api, address: str = "/", *, sign_in: bool = True, **options: object) -> Page:
        """Open an address, signed in by a link unless said, in a page that nobody else of the test has."""
        link = api.client().make_link().url if sign_in else api.url
        base = urljoin(link, "/")  # the cookie is for this name
        page = self._take({"viewport": WIDE, "base_url": base, **options})
        if sign_in:
            page.context.request.get(link, max_redirects=0)
        page.goto(address)
        return page

    def _take(self, options: dict[str, object]) -> Page:
        key = repr(sorted(options.items()))
        idle = self._idle.setdefault(key, [])
        page = idle.pop() if idle else self._new_page(options)
        page.set_viewport_size(options["viewport"])  # type: ignore[arg-type]  # which a test may have changed
        self._taken.append((key, page))
        return page

    def _new_page(self, options: dict[str, object]) -> Page:
        context = self._chromium.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("console", self._hear)
        return page

    def _hear(self, said: ConsoleMessage) -> None:
        if "Content Security" in said.text:
            self._complaints.append(said.text)

    def end_test(self, *, keep: bool) -> None:
        """Sign out everywhere; whatever scripts or the browser complained of fails the test.

        Where a test has changed a page for good, as by a clock of its own, it must not `keep` them.
        """
        for key, page in self._taken:
            if keep and not page.is_closed():
                self._clean(page)
                self._idle[key].append(page)
            else:
                page.context.close()
        self._taken.clear()
        said, self._complaints = self._complaints, []
        assert said == []

    def _clean(self, page: Page) -> None:
        """The address stays: to leave it would end the page's process, which is what takes long."""
        for other in page.context.pages:
            if other is not page:
                other.close()
        page.unroute_all(behavior="ignoreErrors")
        page.emulate_media(color_scheme="null")
        page.mouse.move(0, 0)
        page.context.clear_cookies()
