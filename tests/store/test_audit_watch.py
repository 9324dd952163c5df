"""The watch sees what is committed, holds nobody up, and outlives its connection."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from service.db.engine import make_engine
from service.domain.jobs import JobId
from service.domain.states import Action
from service.errors import DatabaseUnavailable
from service.store.jobs import audit
from service.store.jobs.audit_watch import AuditWatch
from service.store.transaction import Store, open_store

AddJob = Callable[..., JobId]


@pytest.fixture
def watch(store: Store) -> Iterator[AuditWatch]:
    watch = AuditWatch(store)
    yield watch
    watch.close()


def add_entry(store: Store, job_id: JobId) -> int:
    with store.transaction() as tx:
        audit.add_entry(tx, job_id, Action.SUBMITTED, actor="ada")
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
        audit.add_entry(tx, number, Action.CANCELLED, actor="ada")
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
