"""Open pages: most as bare streams, some in a real Chromium; each notes when it was told what happened."""

import json
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.lab import JOBS
from tests.browser.conftest import HOW_TO_GET_ONE, WIDE, find_chromium

WATCHED = 20  # running jobs whose pages are open
Told = Sequence[tuple[int, float]]
"""Which job's row went from the queue that a page shows, and when."""

# When a row of the queue has gone from the document.
_OBSERVE = """() => {
    const rows = () => [...document.querySelectorAll("[id^=queued-]")];
    const list = () => new Set(rows().map((row) => Number(row.id.slice(7))));
    let before = list();
    window.told = [];
    new MutationObserver(() => {
        const queued = list();
        for (const job of before) if (!queued.has(job)) window.told.push([job, Date.now() / 1000]);
        before = queued;
    }).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


@contextmanager
def open_streams(port: int, cookies: Sequence[str], *, count: int) -> Iterator[Told]:
    """Open the streams of pages, half of them of Now, and read them in a thread."""
    told: list[tuple[int, float]] = []
    stop = threading.Event()
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for number in range(count):
            page = "/" if number % 2 else f"/jobs/{JOBS - number // 2 % WATCHED}"
            client = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            path = f"/live?page={quote(page, safe='')}"
            cookie = cookies[number % len(cookies)]
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
            selector.register(client, selectors.EVENT_READ, Reader(told))
        thread = threading.Thread(target=_read, args=(selector, stop))
        thread.start()
        try:
            yield told
        finally:
            stop.set()
            thread.join()


class Reader:
    """A page's stream: which of the jobs in the queue are there no more."""

    def __init__(self, told: list[tuple[int, float]]) -> None:
        self._told = told
        self._text = b""
        self._queued: set[int] = set()

    def take(self, part: bytes) -> None:
        self._text += part
        *events, self._text = self._text.split(b"\n\n")
        for event in events:
            if b'"name": "queue"' in event[:80]:
                html = json.loads(event[event.index(b"data: ") + 6 :].split(b"\r\n")[0])["html"]
                queued = {int(number) for number in re.findall(r'id="queued-(\d+)"', html)}
                self._told += [(gone, time.time()) for gone in self._queued - queued]
                self._queued = queued


def _read(selector: selectors.BaseSelector, stop: threading.Event) -> None:
    while not stop.is_set():
        for key, _ in selector.select(timeout=0.2):
            assert isinstance(key.fileobj, socket.socket)
            key.data.take(key.fileobj.recv(1 << 20))


@contextmanager
def open_browsers(port: int, cookies: Sequence[str], *, count: int) -> Iterator[Callable[[], Told]]:
    """Open Now in a Chromium, in as many windows; what they were told, to be asked for."""
    with open_window(port, cookies) as open_one:
        windows = [open_one(cookies[number % len(cookies)]) for number in range(count)]
        for window in windows:
            window.goto(f"http://127.0.0.1:{port}/")
            window.evaluate(_OBSERVE)
        yield lambda: [(job, at) for window in windows for job, at in window.evaluate("window.told")]


@contextmanager
def open_window(port: int, cookies: Sequence[str]) -> Iterator[Callable[[str], Page]]:
    """A Chromium, and how to open a window of it for the person of a cookie."""
    path = find_chromium()
    assert path is not None, HOW_TO_GET_ONE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])

        def open_one(cookie: str) -> Page:
            context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
            name, _, value = cookie.partition("=")
            context.add_cookies([{"name": name, "value": value, "url": f"http://127.0.0.1:{port}"}])
            return context.new_page()

        yield open_one
        browser.close()
