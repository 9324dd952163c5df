"""The watch sees what is committed, is told of it by PostgreSQL, and outlives its connection."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from service.db.engine import make_engine
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.domain.states import Action
from service.errors import DatabaseUnavailable, JobNotFound
from service.store.jobs import jobs
from service.store.people import audit
from service.store.people.audit_watch import AuditWatch
from service.store.transaction import Store, open_store
from tests.servers import find_free_port

AddJob = Callable[..., JobId]
NET_SECONDS = 60.0  # between two looks; a test that takes as long was not notified
SOON_SECONDS = 20.0

on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture
def watch(store: Store) -> Iterator[AuditWatch]:
    watch = AuditWatch(store)
    yield watch
    watch.close()


def add_entry(store: Store, job_id: JobId) -> int:
    with store.transaction() as tx:
        audit.add_entry(tx, job_id, Action.SUBMITTED, actor=Actor(name="ada"))
        return audit.newest_entry_id(tx)


def test_every_event_of_any_process_is_seen_once_it_is_committed(
    store: Store, store_url: str, watch: AuditWatch, add_job: AddJob
) -> None:
    other = Store(make_engine(store_url))
    number = add_job()
    assert watch.newest_entry_id() == 0
    for writer in (store, other, store):
        assert add_entry(writer, number) == watch.newest_entry_id()
    with other.transaction() as tx:
        audit.add_entry(tx, number, Action.CANCELLED, actor=Actor(name="ada"))
        assert watch.newest_entry_id() < audit.newest_entry_id(tx)
        before = watch.newest_entry_id()
    assert watch.newest_entry_id() == before + 1
    other.close()


def test_a_connection_that_broke_is_replaced(store: Store, watch: AuditWatch, add_job: AddJob) -> None:
    newest = add_entry(store, add_job())
    assert watch.newest_entry_id() == newest
    _break_connections(store, watch)
    assert watch.newest_entry_id() == newest
    assert watch.newest_entry_id() == newest


def _break_connections(store: Store, watch: AuditWatch) -> None:
    """End all sessions of a server; with SQLite, which has none, the watch's connection."""
    if isinstance(watch._connection, sqlite3.Connection):
        watch._connection.close()
        return
    others = "datname = current_database() AND pid != pg_backend_pid()"
    with store.transaction() as tx:
        tx.connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'cnnctl.db'}")
    watch = AuditWatch(store)
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        watch.newest_entry_id()
    store.upgrade()
    assert watch.newest_entry_id() == 0
    watch.close()
    store.close()


def wait_for(watch: AuditWatch, act: Callable[[], object]) -> None:
    """Act once a thread may be waiting; it is woken long before its time is up."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(watch.wait, NET_SECONDS)
        act()
        waiting.result(timeout=SOON_SECONDS)


@on_postgresql
def test_an_entry_of_another_connection_ends_the_wait(
    store: Store, store_url: str, watch: AuditWatch, add_job: AddJob
) -> None:
    job_id = add_job()
    watch.wait(NET_SECONDS)  # begins to listen
    with closing(open_store(store_url)) as other:
        wait_for(watch, lambda: add_entry(other, job_id))


@on_postgresql
def test_what_is_added_between_a_look_and_the_wait_ends_the_wait(
    store: Store, watch: AuditWatch, add_job: AddJob
) -> None:
    job_id = add_job()
    assert watch.newest_entry_id() == 0
    newest = add_entry(store, job_id)
    wait_for(watch, lambda: None)
    assert watch.newest_entry_id() == newest


@on_postgresql
def test_a_commit_notifies_once_and_a_rollback_never(store: Store, add_job: AddJob) -> None:
    job_id = add_job()
    with closing(store.connect_apart()) as connection:
        assert isinstance(connection, psycopg.Connection)
        connection.execute(f"LISTEN {audit.CHANNEL}")
        with pytest.raises(JobNotFound):
            _add_and_roll_back(store, job_id)
        with store.transaction() as tx:
            for _ in range(3):
                audit.add_entry(tx, job_id, Action.SUBMITTED, actor=Actor(name="ada"))
        connection.execute(f"NOTIFY {audit.CHANNEL}, 'end'")
        told = (notify.payload for notify in connection.notifies(timeout=NET_SECONDS))
        assert list(takewhile(lambda payload: payload != "end", told)) == [""]


def _add_and_roll_back(store: Store, job_id: JobId) -> None:
    with store.transaction() as tx:
        audit.add_entry(tx, job_id, Action.SUBMITTED, actor=Actor(name="ada"))
        jobs.get_job(tx, JobId(job_id + 1))


@on_postgresql
def test_a_wait_outlives_its_connection(store: Store, watch: AuditWatch, add_job: AddJob) -> None:
    job_id = add_job()
    assert watch.newest_entry_id() == 0
    wait_for(watch, lambda: _break_connections(store, watch))
    assert watch.newest_entry_id() == 0
    wait_for(watch, lambda: add_entry(store, job_id))


@on_postgresql
def test_without_notifications_a_wait_ends_in_time(store: Store, watch: AuditWatch, add_job: AddJob) -> None:
    """As behind a pooler, which takes the connection that listens for others too."""
    job_id = add_job()
    assert watch.newest_entry_id() == 0
    assert isinstance(watch._connection, psycopg.Connection)
    watch._connection.execute("UNLISTEN *")
    newest = add_entry(store, job_id)
    watch.wait(0.01)
    assert watch.newest_entry_id() == newest


def test_a_wait_for_a_database_that_is_away_ends_in_time() -> None:
    watch = AuditWatch(open_store(f"postgresql://nobody@127.0.0.1:{find_free_port()}/none"))
    watch.wait(0.01)
    with pytest.raises(DatabaseUnavailable):
        watch.newest_entry_id()
