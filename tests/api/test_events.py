"""The stream of events has no gap, also for who was cut off; who does not read is dropped."""

import asyncio
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any

import pytest

from cnnctl.errors import CnnctlError, NotAuthenticated, TooManyRequests
from cnnctl.http_client import HttpClient, _read_events
from cnnctl.views.access import AuditView, ProblemView
from cnnctl.views.codec import to_json
from cnnctl.views.requests import LabelRequest, SubmissionRequest
from service.api import live
from service.api.live import MOST_OF_ONE, MOST_WAITING, Hub, Listener
from service.commands.people import audit_feed
from service.commands.people.audit_feed import AuditFollower
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.domain.states import Action, Subject
from service.errors import DatabaseUnavailable
from service.store.people import audit
from service.store.people.audit_feed import SettledEntries
from service.store.transaction import Store, open_store
from tests.api.conftest import Api
from tests.api.lying_server import serving
from tests.conftest import ADA
from tests.servers import wait_until

REQUEST = SubmissionRequest(architecture="softmax", fields={"data.dataset": "synthetic"})
WAIT_SECONDS = 20.0


def test_everything_is_told_in_order_and_a_client_that_was_cut_off_misses_nothing(api: Api) -> None:
    client = api.client()
    first = client.submit(REQUEST).job
    stream = client.follow_events(after=0)
    assert next(stream).name == str(first)
    with ThreadPoolExecutor(4) as pool:
        numbers = {view.job for view in pool.map(lambda _: api.client().submit(REQUEST), range(20))}
    told = list(islice(stream, 20))
    assert {view.job for view in told} == numbers
    assert [view.entry for view in told] == sorted(view.entry for view in told)
    api.kill()
    api.start()
    api.client().cancel(first)
    view = next(stream)
    assert (view.action, view.job, view.actor) == ("cancelled", first, client.get_me().name)
    only = api.client().follow_events(job=first, after=0)
    assert [view.action for view in islice(only, 2)] == ["submitted", "cancelled"]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_client_that_does_not_read_is_dropped_and_others_notice_nothing(api: Api) -> None:
    client = api.client()
    job = client.submit(REQUEST).job
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(str(api.socket))
        deaf.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        deaf.recv(100)
        stream = client.follow_events()
        reader = threading.Thread(target=lambda: told.extend(islice(stream, 3 * MOST_WAITING)), daemon=True)
        told: list[AuditView] = []
        reader.start()
        time.sleep(0.5)  # until the reader listens: it says nothing when it does
        with closing(open_store(api.settings["CNNCTL_DATABASE_URL"])) as store:
            for _ in range(3 * MOST_WAITING // 100):
                with store.transaction() as tx:
                    for _ in range(100):
                        audit.add_entry(tx, JobId(job), Action.CHANGED, actor=ADA, detail="x" * 1000)
        reader.join(timeout=WAIT_SECONDS)
        assert len(told) == 3 * MOST_WAITING
        deaf.settimeout(WAIT_SECONDS)
        while deaf.recv(1024 * 1024):  # what was on its way, then the end
            pass


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_stop_waits_for_no_client_that_listens(api: Api) -> None:
    """Nor for one that comes back at once, before the socket is closed."""
    client = api.client()
    client.submit(REQUEST)
    stream = client.follow_events(after=0)
    next(stream)
    reader = threading.Thread(target=next, args=(stream,))
    reader.start()
    api.stop()
    assert "Cancel" not in api.log.read_text()  # what the server says of streams that did not end
    api.start()
    api.client().submit(REQUEST)
    reader.join(timeout=WAIT_SECONDS)
    assert not reader.is_alive()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_an_entry_that_is_committed_late_is_told_before_those_after_it(store_url: str) -> None:
    """Numbers are given before a commit: an entry of a slow transaction must not be left out."""
    with closing(open_store(store_url)) as store, closing(open_store(store_url)) as other:
        told: list[AuditView] = []
        stop = threading.Event()
        follower = AuditFollower(store)
        thread = threading.Thread(target=follower.run, args=(told.extend, stop))
        thread.start()
        try:
            with store.transaction() as slow:
                audit.add_entry_about(slow, *_about("slow"), Action.CHANGED, actor=ADA)
                with other.transaction() as tx:
                    audit.add_entry_about(tx, *_about("fast"), Action.CHANGED, actor=ADA)
                time.sleep(0.3)  # in which the fast one must not be told
                assert told == []
            deadline = time.monotonic() + WAIT_SECONDS
            while len(told) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            stop.set()
            thread.join()
        assert [view.name for view in told] == ["slow", "fast"]


def _about(name: str) -> tuple[Subject, str]:
    return Subject.USER, name


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_transaction_of_another_database_of_the_server_delays_no_entry(
    store: Store, postgres_url: str
) -> None:
    entries = SettledEntries()
    with closing(open_store(postgres_url)) as other, other.transaction() as foreign:
        foreign.connection.exec_driver_sql("SELECT pg_current_xact_id()")  # from now on it counts as a writer
        with store.transaction() as tx:
            audit.add_entry_about(tx, Subject.USER, "ada", Action.CHANGED, actor=ADA)
        with store.reading() as tx:
            assert entries.find_settled(tx) == (1, False)
        with ExitStack() as late:
            slow = late.enter_context(store.transaction())
            audit.add_entry_about(slow, Subject.USER, "slow", Action.CHANGED, actor=ADA)
            with store.transaction() as tx:
                audit.add_entry_about(tx, Subject.USER, "fast", Action.CHANGED, actor=ADA)
            with store.reading() as tx:
                assert entries.find_settled(tx) == (1, True)
        with store.reading() as tx:
            assert entries.find_settled(tx) == (3, False)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_follow_goes_on_when_the_api_is_back(api: Api) -> None:
    client = api.client()
    job = client.submit(REQUEST).job
    api.kill()
    restart = threading.Timer(1.0, api.start)
    restart.start()
    assert client.change_labels(job, LabelRequest(name="after the kill")).name == "after the kill"
    restart.join()


class Asker:
    """A request whose person may listen until `error` is set; whoever counts it is refused."""

    name = "ada"
    error: CnnctlError | None = None

    def get_actor(self) -> Actor:
        raise TooManyRequests("ada asks too often")

    def find_actor(self) -> Actor:
        if self.error:
            raise self.error
        return ADA


def test_a_stream_outlives_many_requests_of_its_person_and_ends_with_their_right(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they may still listen is asked now and then, and is no request of theirs."""
    monkeypatch.setattr(live, "STILL_SECONDS", 0.05)
    ask: Any = Asker()

    async def listen() -> list[str]:
        told = []
        async for text in Hub(store).listen(ask, None, owner="ada", after=None, job=None):
            told.append(text)
            if len(told) == 3:
                ask.error = NotAuthenticated("the token was revoked")
        return told

    position, *still, problem = asyncio.run(asyncio.wait_for(listen(), WAIT_SECONDS))
    assert position.startswith("event: position")
    assert set(still) == {": still here\n\n"}
    event = dict(_read_events(io.BytesIO(problem.encode())))
    assert json.loads(event["problem"])["type"] == NotAuthenticated.problem_type()


def test_nobody_takes_all_the_streams(store: Store) -> None:
    hub = Hub(store)
    hub._listeners = {Listener(None, owner="ada", job=None) for _ in range(MOST_OF_ONE)}
    hub.check_room("bob")
    with pytest.raises(TooManyRequests, match=f"{MOST_OF_ONE} streams"):
        hub.check_room("ada")


def test_a_client_that_may_not_listen_any_more_is_told_so() -> None:
    """The answer is a server's that lies on purpose: the real one takes its time."""
    problem = to_json(
        ProblemView(type=NotAuthenticated.problem_type(), title="", status=401, detail="gone", exit_code=5)
    )
    body = f"event: problem\ndata: {json.dumps(problem)}\n\n".encode()
    with serving(body) as url, pytest.raises(NotAuthenticated, match="gone"):
        next(HttpClient.at(url, token="").follow_events())


def test_the_feed_goes_on_after_an_error_that_nobody_has_foreseen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an entry that a newer version wrote: else all streams would be silent for ever."""
    monkeypatch.setattr(audit_feed, "OUTAGE_SECONDS", 0.01)
    follower = AuditFollower(store)
    look, errors = follower._look, [ValueError("an action that nobody knows"), DatabaseUnavailable("away")]

    def look_after_errors() -> Any:
        if errors:
            raise errors.pop()
        return look()

    monkeypatch.setattr(follower, "_look", look_after_errors)
    told: list[AuditView] = []
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(told.extend, stop))
    thread.start()
    try:
        with store.transaction() as tx:
            audit.add_entry_about(tx, *_about("ada"), Action.CHANGED, actor=ADA)
        wait_until(lambda: bool(told))
    finally:
        stop.set()
        thread.join()
    assert [view.name for view in told] == ["ada"]
