"""One decision: its moment, what happens after it, and who may look at it when."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import QueuePool, create_engine, text

from service.db import engine
from service.db.engine import make_engine
from service.domain.jobs import JobId, Waiting
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState
from service.errors import DatabaseUnavailable
from service.store.jobs import jobs
from service.store.transaction import Store, open_store
from tests.conftest import Clock
from tests.servers import wait_until

AddJob = Callable[..., JobId]


def test_a_time_of_another_zone_is_read_back_as_the_same_moment_in_utc(
    store: Store, clock: Clock, add_job: AddJob
) -> None:
    here = timezone(timedelta(hours=5, minutes=30))
    clock.now = datetime(2026, 3, 1, 2, 0, 0, 123456, tzinfo=here)
    number = add_job()
    with store.reading() as tx:
        submitted_at = jobs.get_job(tx, number).submitted_at
    assert submitted_at == clock.now
    assert submitted_at.utcoffset() == timedelta(0)


def test_a_transaction_has_one_moment(store: Store, clock: Clock) -> None:
    with store.transaction() as tx:
        first = tx.now
        clock.advance(60)
        assert tx.now == first
    with store.transaction() as tx:
        assert tx.now == first + timedelta(seconds=60)


def test_without_a_clock_of_its_own_a_store_has_the_true_time_in_utc(database_url: str) -> None:
    store = Store(make_engine(database_url))
    with store.reading() as tx:
        assert abs(tx.now - datetime.now(timezone.utc)) < timedelta(seconds=60)
        assert tx.now.utcoffset() == timedelta(0)
    store.close()


def test_what_follows_a_commit_runs_in_order_and_sees_it(store: Store, add_job: AddJob) -> None:
    number = add_job()
    seen: list[tuple[str, str]] = []

    def look(name: str) -> None:
        with store.reading() as tx:
            seen.append((name, jobs.get_job(tx, number).reason))

    with store.transaction() as tx:
        tx.after_commit(lambda: look("first"))
        tx.after_commit(lambda: look("second"))
        jobs.set_waits(tx, [Waiting(job_id=number, reason="changed")])
    assert seen == [("first", "changed"), ("second", "changed")]


def test_what_fails_after_a_commit_keeps_nothing_else_from_running(store: Store) -> None:
    done: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    def decide() -> None:
        with store.transaction() as tx:
            tx.after_commit(fail)
            tx.after_commit(lambda: done.append("second"))

    with pytest.raises(ZeroDivisionError):
        decide()
    assert done == ["second"]


def test_nobody_sees_a_decision_before_it_is_committed(store: Store, store_url: str, add_job: AddJob) -> None:
    number = add_job()
    other = Store(make_engine(store_url))
    with store.transaction() as tx:
        jobs.set_state_if(tx, number, JobState.QUEUED, JobState.RUNNING, reason="")
        with other.reading() as second:
            assert jobs.get_job(second, number).state is JobState.QUEUED
    with other.reading() as second:
        assert jobs.get_job(second, number).state is JobState.RUNNING
    other.close()


def test_jobs_are_listed_newest_first_and_queued_ones_in_their_order(store: Store, add_job: AddJob) -> None:
    first, second, third = (add_job() for _ in range(3))
    with store.transaction() as tx:
        jobs.set_state_if(tx, second, JobState.QUEUED, JobState.RUNNING, reason="")
        assert [job.id for job in jobs.list_jobs(tx)] == [third, second, first]
        assert [job.id for job in jobs.list_jobs(tx, limit=2)] == [third, second]
        assert [job.id for job in jobs.list_jobs_in(tx, JobState.QUEUED)] == [first, third]
        assert jobs.find_job(tx, JobId(99)) is None


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**70])
def test_a_number_that_no_job_can_have_is_not_found(store: Store, number: int) -> None:
    with store.reading() as tx:
        assert jobs.find_job(tx, JobId(number)) is None


def test_a_change_that_no_state_machine_knows_is_a_mistake_of_the_program(
    store: Store, add_job: AddJob
) -> None:
    number = add_job()
    with store.transaction() as tx, pytest.raises(AssertionError, match="never becomes"):
        jobs.set_state_if(tx, number, JobState.QUEUED, JobState.SUCCEEDED, reason="")


def test_a_number_is_never_given_again(store: Store, add_job: AddJob) -> None:
    number = add_job()
    with store.transaction() as tx:
        tx.connection.execute(text("DELETE FROM jobs"))
    assert add_job() > number


def test_many_threads_write_in_turns(store: Store, add_job: AddJob) -> None:
    number = add_job()

    def count(_: int) -> None:
        with store.transaction() as tx:
            count_one = text("UPDATE jobs SET lost_attempts = lost_attempts + 1 WHERE id = :id")
            tx.connection.execute(count_one, {"id": number})

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(count, range(200)))
    with store.reading() as tx:
        assert jobs.get_job(tx, number).lost_attempts == 200


def test_a_failed_decision_gives_the_turn_back(store: Store, add_job: AddJob) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        _ = 1 / 0
    assert add_job()


def test_no_connection_free_is_an_outage_like_others(tmp_path: Path) -> None:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'a.db'}", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    store = Store(engine)
    with store.reading(), pytest.raises(DatabaseUnavailable, match="limit"), store.reading():
        pass
    store.close()


def test_a_writer_that_is_frozen_holds_others_up_for_seconds_only(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(engine, "SILENT_TRANSACTION_SECONDS", 1.0)
    store = open_store(postgres_url)
    store.upgrade()
    with store.transaction() as tx:
        number = jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="")

    def write() -> bool:
        try:
            with store.transaction() as tx:
                jobs.set_waits(tx, [Waiting(job_id=number, reason="changed")])
        except DatabaseUnavailable:
            return False
        return True

    def freeze() -> None:
        with store.transaction() as frozen:
            jobs.set_waits(frozen, [Waiting(job_id=number, reason="frozen")])
            assert not write()
            wait_until(write, seconds=10)
            jobs.set_waits(frozen, [Waiting(job_id=number, reason="too late")])

    with pytest.raises(DatabaseUnavailable):
        freeze()
    with store.reading() as tx:
        assert jobs.get_job(tx, number).reason == "changed"
    store.close()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # SQLite's writers wait for readers
def test_all_that_is_read_is_of_one_moment(store: Store, add_job: Callable[..., JobId]) -> None:
    number = add_job()
    with store.reading() as tx:
        before = jobs.get_job(tx, number)
        with store.transaction() as other:
            jobs.set_waits(other, [Waiting(job_id=number, reason="changed")])
        assert jobs.get_job(tx, number) == before
    with store.reading() as tx:
        assert jobs.get_job(tx, number).reason == "changed"
