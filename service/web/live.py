"""The stream of a page: each of its parts is sent again when it has changed.

A part is made once for all who look at it, in a task of its own: when an entry of the audit says that
something happened, and after a time anyhow. A browser that does not read holds at most one text of each part.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from cnnctl.views.access import AuditView
from service.api.ask import Ask, Asked
from service.api.live import STILL_SECONDS, Hub
from service.api.peer import TRANSPORT
from service.errors import CnnctlError
from service.web import static
from service.web.answer import digest_of, render_part, visit_of
from service.web.parts import Page, Part, Visit
from service.web.places import find_page

GAP_SECONDS = 0.4  # between two looks at a part, however much happens
SEEN_SECONDS = 1.0
MOST_AT_ONCE = 4  # parts that are made at the same time, of the forty threads that answer
DEAF_SECONDS = 60.0
LONGEST_ADDRESS = 8000
log = structlog.get_logger()
router = APIRouter()


@dataclass(eq=False)
class Viewer:
    """A page in a browser: what it has of each part, and what it has not been sent yet."""

    transport: Any
    owner: str
    has: dict[str, str]
    waiting: dict[str, str] = field(default_factory=dict)
    waits_since: float = 0.0
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, name: str, digest: str, event: str) -> None:
        if self.has.get(name) == digest:
            return
        now = time.monotonic()
        if not self.waiting:
            self.waits_since = now
        elif now - self.waits_since > DEAF_SECONDS:
            self.transport.abort()
        self.has[name], self.waiting[name] = digest, event
        self.woken.set()

    def end(self) -> None:
        self.woken.set()

    def take(self) -> Sequence[str]:
        """What to send now."""
        self.woken.clear()
        events = list(self.waiting.values())
        self.waiting.clear()
        return events


class Looks:
    """What looks at parts share: turns, and for a second what others saw, unless something happens."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._seen: dict[Hashable, Any] = {}
        self._until = 0.0

    def get_seen(self) -> dict[Hashable, Any]:
        """To be read and added to by a look that begins now."""
        if time.monotonic() > self._until:
            self.forget()
        return self._seen

    def forget(self) -> None:
        """Let looks that begin from now on ask anew; one that is under way keeps what it has."""
        self._seen = {}
        self._until = time.monotonic() + SEEN_SECONDS


class Watch:
    """A part that somebody looks at."""

    def __init__(self, page: Page, part: Part, visit: Visit, *, looks: Looks) -> None:
        self._page, self._part, self._visit, self._looks = page, part, visit, looks
        self._woken = asyncio.Event()
        self._event, self._digest = "", ""
        self._view: Any = None
        self.viewers: set[Viewer] = set()
        self._task = asyncio.create_task(self._run())

    def join(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        if self._event:
            viewer.give(self._part.name, self._digest, self._event)

    def stop(self) -> None:
        self._task.cancel()

    def wake(self, views: Iterable[AuditView]) -> None:
        """Look anew, if what happened may have changed the part."""
        if any(self._part.concerns(view, self._view) for view in views):
            self._woken.set()

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            self._woken.clear()
            async with self._looks.turns:
                html = await run_in_threadpool(self._make, self._looks.get_seen())
            if html is not None:
                self._give(html)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._part.seconds)
            await asyncio.sleep(max(0.0, began + GAP_SECONDS - time.monotonic()))

    def _make(self, seen: dict[Hashable, Any]) -> str | None:
        """The part as it is now; None where it cannot be made: browsers keep what they have."""
        try:
            visit = replace(self._visit, seen=seen)
            self._view = self._part.look(visit)
            return render_part(self._page, self._part, visit, self._view)
        except CnnctlError as error:
            log.info("part", name=self._part.name, action="not_made", error=str(error))
        except Exception:  # one part must not end the others
            log.exception("part", name=self._part.name, action="failed")
        return None

    def _give(self, html: str) -> None:
        digest, name = digest_of(html), self._part.name
        if digest != self._digest:
            said = json.dumps(
                {"name": name, "digest": digest, "html": html.encode("utf-8", "replace").decode()}
            )
            self._event, self._digest = f"event: part\ndata: {said}\n\n", digest
        for viewer in self.viewers:
            viewer.give(name, digest, self._event)


class Watches:
    """All parts that somebody looks at; only the event loop's thread touches it."""

    def __init__(self, hub: Hub) -> None:
        self._watches: dict[Hashable, Watch] = {}
        self._looks = Looks()
        hub.tell(self._wake)

    def _wake(self, views: Sequence[AuditView]) -> None:
        self._looks.forget()
        for watch in self._watches.values():
            watch.wake(views)

    @contextmanager
    def join(self, page: Page, visit: Visit, viewer: Viewer) -> Iterator[None]:
        """Let a browser have a page's parts in the block."""
        keys = [_key(page, part, visit) for part in page.parts]
        for key, part in zip(keys, page.parts, strict=True):
            if key not in self._watches:
                self._watches[key] = Watch(page, part, visit, looks=self._looks)
            self._watches[key].join(viewer)
        try:
            yield
        finally:
            for key in keys:
                self._leave(key, viewer)

    def _leave(self, key: Hashable, viewer: Viewer) -> None:
        watch = self._watches[key]
        watch.viewers.discard(viewer)
        if not watch.viewers:
            watch.stop()
            del self._watches[key]


def _key(page: Page, part: Part, visit: Visit) -> Hashable:
    person = (visit.me.name, visit.me.scope, visit.me.administrator) if part.personal else None
    return page.template, part.name, part.about, person


async def _follow(
    ask: Ask, watches: Watches, hub: Hub, page: Page, visit: Visit, viewer: Viewer
) -> AsyncIterator[str]:
    checked = time.monotonic()
    with hub.count(viewer), watches.join(page, visit, viewer):
        yield f"event: hello\ndata: {json.dumps({'static': static.DIGEST})}\n\n"
        while not hub.stopping:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(viewer.woken.wait(), STILL_SECONDS)
            if time.monotonic() > checked + STILL_SECONDS:
                checked = time.monotonic()
                try:
                    await run_in_threadpool(ask.find_actor)  # the session may have been ended
                except CnnctlError:
                    break
            yield "".join(viewer.take()) or ": still here\n\n"


@router.get("/live", include_in_schema=False)
async def follow(
    ask: Asked,
    page: Annotated[str, Query(max_length=LONGEST_ADDRESS, description="its address")],
    have: Annotated[str, Query(max_length=LONGEST_ADDRESS, description="digests of its parts")] = "",
) -> StreamingResponse:
    """The parts of a page whenever they change, beginning with those of which the browser has others."""
    visit = await run_in_threadpool(visit_of, ask)
    found = await run_in_threadpool(find_page, page, visit)
    state = ask.request.app.state
    state.hub.check_room(visit.me.name)
    viewer = Viewer(ask.request.scope[TRANSPORT], visit.me.name, _read_digests(have))
    lines = _follow(ask, state.watches, state.hub, found, visit, viewer)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


def _read_digests(text: str) -> dict[str, str]:
    pairs = (pair.partition(":") for pair in text.split(",") if ":" in pair)
    return {name: digest for name, _, digest in pairs}
