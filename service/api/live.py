"""The stream of events: each client is told of every audit entry, in order and without a gap.

One thread follows the audit and hands entries to a bounded queue for each client. A client that does not
read is dropped, and nobody else notices.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from cnnctl.views.access import AuditView
from cnnctl.views.codec import to_json
from service.api.ask import Ask, Asked
from service.api.declare import raw
from service.api.peer import TRANSPORT
from service.api.problems import describe_problem
from service.commands.people.audit_feed import AuditFollower, list_between
from service.errors import CnnctlError, ServiceUnavailable, TooManyRequests
from service.store.transaction import Store

MOST_WAITING = 1000  # entries for a client that does not read
MOST_CLIENTS = 1000
MOST_OF_ONE = 300  # of them, so that one person's programs leave room for others
STILL_SECONDS = 15.0  # between two checks that a client may still listen
router = APIRouter(tags=["live"])


@dataclass(eq=False)
class Listener:
    """A client's queue; only the event loop's thread touches it."""

    transport: Any
    owner: str
    job: int | None
    queue: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    dropped: bool = False

    def put(self, event: str | None) -> None:
        if self.queue.full():
            self.dropped = True
            self.transport.abort()  # to close it would wait until the client reads
        elif not self.dropped:
            self.queue.put_nowait(event)


class OpenPage(Protocol):
    """A stream of something else, which counts among the streams of its owner."""

    owner: str

    def end(self) -> None:
        """Let the stream end soon."""


class Hub:
    """Hands out what is new to all listeners."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[Listener] = set()
        self._told: list[Callable[[Sequence[AuditView]], None]] = []
        self._pages: set[OpenPage] = set()
        self._stop = threading.Event()
        self._position = 0

    def start(self) -> None:
        """Begin to follow the audit; in the event loop's thread."""
        loop = asyncio.get_running_loop()
        follower = AuditFollower(self._store)
        self._position = follower.position

        def give(views: Sequence[AuditView]) -> None:
            loop.call_soon_threadsafe(self._give, views)

        threading.Thread(target=follower.run, args=(give, self._stop), name="audit", daemon=True).start()

    def stop(self) -> None:
        """End all streams."""
        self._stop.set()
        for listener in self._listeners:
            listener.put(None)
        for page in self._pages:
            page.end()

    @property
    def stopping(self) -> bool:
        """Whether all streams shall end."""
        return self._stop.is_set()

    def tell(self, call: Callable[[Sequence[AuditView]], None]) -> None:
        """Call back with all new entries, in the event loop's thread."""
        self._told.append(call)

    @contextmanager
    def count(self, page: OpenPage) -> Iterator[None]:
        """Count a page among the streams while it is open; see `check_room`."""
        self._pages.add(page)
        try:
            yield
        finally:
            self._pages.discard(page)

    def _give(self, views: Sequence[AuditView]) -> None:
        self._position = views[-1].entry
        for call in self._told:
            call(views)
        for view in views:
            event = _write(view)  # once for all
            for listener in self._listeners:
                if listener.job in (None, view.job):
                    listener.put(event)

    async def listen(
        self, ask: Ask, transport: Any, *, owner: str, after: int | None, job: int | None
    ) -> AsyncIterator[str]:
        """The text of a client's stream: what it has missed, then what comes."""
        listener = Listener(transport, owner, job)
        self._listeners.add(listener)
        position = self._position
        try:
            yield f"event: position\ndata: {position if after is None else after}\n\n"
            last = position if after is None else after
            while last < position:
                missed = await run_in_threadpool(
                    list_between, self._store, after=last, up_to=position, job=job
                )
                for view in missed:
                    yield _write(view)
                last = missed[-1].entry if missed else position
            checked = time.monotonic()
            while not (listener.dropped or self._stop.is_set()):
                new = await _next(listener)
                if time.monotonic() > checked + STILL_SECONDS:
                    await run_in_threadpool(ask.find_actor)  # a token may have been revoked
                    checked = time.monotonic()
                yield new or ": still here\n\n"
        except CnnctlError as error:
            yield f"event: problem\ndata: {json.dumps(to_json(describe_problem(error)))}\n\n"
        finally:
            self._listeners.discard(listener)

    def check_room(self, owner: str) -> None:
        """Refuse one client more than there may be, and all while the service stops: it waits for streams.

        Raises:
            ServiceUnavailable: with how many there are.
            TooManyRequests: all of one person's share are in use.
        """
        if self._stop.is_set():
            raise ServiceUnavailable("The service is being stopped")
        streams = [listener.owner for listener in self._listeners] + [page.owner for page in self._pages]
        if streams.count(owner) >= MOST_OF_ONE:
            raise TooManyRequests(f"{owner} has {MOST_OF_ONE} streams of events open, and nobody has more")
        if len(streams) >= MOST_CLIENTS:
            raise ServiceUnavailable(f"{MOST_CLIENTS} clients listen already, and more are not taken")


async def _next(listener: Listener) -> str | None:
    """What comes next; None: nothing for a while, or the service stops."""
    try:
        return await asyncio.wait_for(listener.queue.get(), STILL_SECONDS)
    except asyncio.TimeoutError:
        return None


def _write(view: AuditView) -> str:
    return f"id: {view.entry}\nevent: audit\ndata: {json.dumps(to_json(view), allow_nan=False)}\n\n"


@raw(router, "/events", "text/event-stream")
async def listen(
    ask: Asked,
    job: Annotated[int | None, Query(description="only what is about this job")] = None,
    last_event_id: Annotated[int | None, Header(description="the last entry that was seen", ge=0)] = None,
) -> StreamingResponse:
    """Everything that is done, as it is done: a stream of server-sent events whose ids are the audit's."""
    actor = await run_in_threadpool(ask.get_actor)
    hub: Hub = ask.request.app.state.hub
    hub.check_room(actor.name)
    transport = ask.request.scope[TRANSPORT]
    lines = hub.listen(ask, transport, owner=actor.name, after=last_event_id, job=job)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)
