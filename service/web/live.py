"""The stream of a page: each of its parts is sent again when it has changed.

A part is made once for all who look at it: when an entry of the audit says that something happened, and after
a time anyhow. Parts that are due together are made and sent together, which asks and wakes but once.
A browser that does not read holds at most one text of each part.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
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
from service.api.peer import PEER, TRANSPORT
from service.errors import CnnctlError
from service.web import static
from service.web.answer import digest_of, render_part, visit_of
from service.web.parts import Page, Part, Visit
from service.web.places import find_page

GAP_SECONDS = 0.4  # between two looks at a page, however much happens
EARLY_SECONDS = 1.0  # by which a part is looked at too soon, if others of its page are due
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
    session: Hashable
    """What the browser proves with whose it is."""
    has: dict[str, str]
    waiting: dict[str, str] = field(default_factory=dict)
    waits_since: float = 0.0
    known_at: float = field(default_factory=time.monotonic)
    """When the session was last found to be valid."""
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


@dataclass(eq=False)
class Shown:
    """A part as it was last made."""

    part: Part
    due_at: float = 0.0
    """When it is looked at anew, by the monotonic clock."""
    seconds: float = 5.0
    """After how long, as its last look said."""
    view: Any = None
    digest: str = ""
    event: str = ""


class Watch:
    """Parts of a page that somebody looks at; those that are due together share what they ask for."""

    def __init__(self, page: Page, parts: Sequence[Part], visit: Visit, *, turns: asyncio.Semaphore) -> None:
        self._page, self._visit, self._turns = page, visit, turns
        self._shown = [Shown(part) for part in parts]
        self._woken = asyncio.Event()
        self.viewers: set[Viewer] = set()
        self._task = asyncio.create_task(self._run())

    def join(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        for one in self._shown:
            if one.event:
                viewer.give(one.part.name, one.digest, one.event)

    def stop(self) -> None:
        self._task.cancel()

    def wake(self, entries: Sequence[AuditView]) -> None:
        """Look anew at the parts that may have changed by what happened."""
        for one in self._shown:
            if any(one.part.concerns(entry, one.view) for entry in entries):
                one.due_at = 0.0
                self._woken.set()

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            self._woken.clear()
            due = [one for one in self._shown if one.due_at <= began + EARLY_SECONDS]
            for one in due:  # before they are looked at: what happens meanwhile makes them due again
                one.due_at = math.inf
            async with self._turns:
                made = await run_in_threadpool(self._make, due)
            for one in due:
                one.due_at = min(one.due_at, began + one.seconds)
            for one, html in made:
                self._give(one, html)
            rest = min(one.due_at for one in self._shown) - time.monotonic()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), rest)
            await asyncio.sleep(max(0.0, began + GAP_SECONDS - time.monotonic()))

    def _make(self, due: Sequence[Shown]) -> Sequence[tuple[Shown, str]]:
        """Parts as they are now, without those that cannot be made: browsers keep what they have of these."""
        visit, made = replace(self._visit, seen={}), []
        for one in due:
            try:
                one.view = one.part.look(visit)
                one.seconds = one.part.get_seconds(visit)
                made.append((one, render_part(self._page, one.part, visit, one.view)))
            except CnnctlError as error:
                log.info("part", name=one.part.name, action="not_made", error=str(error))
            except Exception:  # one part must not end the others
                log.exception("part", name=one.part.name, action="failed")
        return made

    def _give(self, one: Shown, html: str) -> None:
        digest, name = digest_of(html), one.part.name
        if digest != one.digest:
            said = json.dumps(
                {"name": name, "digest": digest, "html": html.encode("utf-8", "replace").decode()}
            )
            one.event, one.digest = f"event: part\ndata: {said}\n\n", digest
        for viewer in self.viewers:
            viewer.give(name, digest, one.event)


class Watches:
    """All parts that somebody looks at; only the event loop's thread touches it."""

    def __init__(self, hub: Hub) -> None:
        self._watches: dict[Hashable, Watch] = {}
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._viewers: set[Viewer] = set()
        hub.tell(self._wake)

    def _wake(self, entries: Sequence[AuditView]) -> None:
        for watch in self._watches.values():
            watch.wake(entries)

    @contextmanager
    def join(self, page: Page, visit: Visit, viewer: Viewer) -> Iterator[None]:
        """Let a browser have a page's parts in the block."""
        keys = []
        for personal in (False, True):
            parts = [part for part in page.parts if part.personal is personal]
            if parts:
                keys.append(key := _key(page, parts, visit))
                if key not in self._watches:
                    self._watches[key] = Watch(page, parts, visit, turns=self._turns)
                self._watches[key].join(viewer)
        self._viewers.add(viewer)
        try:
            yield
        finally:
            self._viewers.discard(viewer)
            for key in keys:
                self._leave(key, viewer)

    def _leave(self, key: Hashable, viewer: Viewer) -> None:
        watch = self._watches[key]
        watch.viewers.discard(viewer)
        if not watch.viewers:
            watch.stop()
            del self._watches[key]

    def note_known(self, session: Hashable) -> None:
        """Say that a session is valid: of all the pages that are open in it, one asks."""
        now = time.monotonic()
        for viewer in self._viewers:
            if viewer.session == session:
                viewer.known_at = now


def _key(page: Page, parts: Sequence[Part], visit: Visit) -> Hashable:
    person = visit.me if parts[0].personal else None
    return page.template, tuple((part.name, part.about) for part in parts), person


async def _follow(
    ask: Ask, watches: Watches, hub: Hub, page: Page, visit: Visit, viewer: Viewer
) -> AsyncIterator[str]:
    with hub.count(viewer), watches.join(page, visit, viewer):
        yield f"event: hello\ndata: {json.dumps({'static': static.DIGEST})}\n\n"
        while not hub.stopping:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(viewer.woken.wait(), STILL_SECONDS)
            if time.monotonic() > viewer.known_at + STILL_SECONDS:
                try:
                    await run_in_threadpool(ask.find_actor)  # the session may have been ended
                except CnnctlError:
                    break
                watches.note_known(viewer.session)
            yield "".join(viewer.take()) or "event: still\ndata: here\n\n"


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
    transport = ask.request.scope[TRANSPORT]
    viewer = Viewer(transport, visit.me.name, _session_of(ask), _read_digests(have))
    lines = _follow(ask, state.watches, state.hub, found, visit, viewer)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


def _session_of(ask: Ask) -> Hashable:
    request = ask.request
    return request.scope.get(PEER), request.headers.get("authorization"), request.headers.get("cookie")


def _read_digests(text: str) -> dict[str, str]:
    pairs = (pair.partition(":") for pair in text.split(",") if ":" in pair)
    return {name: digest for name, _, digest in pairs}
