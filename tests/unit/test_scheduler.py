"""Ticks of the scheduler on real databases, with a clock that stands still and a dispatcher that notes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.dispatch import Dispatcher
from service.domain.jobs import Attempt, AttemptId, JobId
from service.domain.states import AttemptState, JobState, Outcome
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store import attempts, hosts, jobs, leases
from service.store.transaction import Store
from tests.conftest import HOST, Clock


class NotingDispatcher(Dispatcher):
    """Sends to the real message folder and notes what was sent."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sent: list[AttemptId] = []

    def send(self, attempt: Attempt) -> None:
        super().send(attempt)
        self.sent.append(attempt.id)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"CNNCTL_HOME": str(tmp_path / "home")})


@pytest.fixture
def dispatcher(settings: Settings) -> NotingDispatcher:
    return NotingDispatcher(settings)


@pytest.fixture
def scheduler(store: Store, settings: Settings, dispatcher: NotingDispatcher) -> Scheduler:
    return Scheduler(store, settings, dispatcher)


def live(store: Store) -> list[Attempt]:
    with store.reading() as tx:
        return list(attempts.list_live_attempts(tx))


def test_a_tick_leases_gpus_and_sends_after_the_commit(
    store: Store,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
    settings: Settings,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host(gpus=2)
    number = add_job(gpus=2)
    scheduler.tick()
    scheduler.tick()
    (attempt,) = live(store)
    assert (attempt.job_id, attempt.state, attempt.host_name) == (number, AttemptState.DISPATCHED, HOST)
    with store.reading() as tx:
        assert leases.list_holders(tx) == {f"{HOST}-0": attempt.id, f"{HOST}-1": attempt.id}
        assert jobs.get_job(tx, number).state is JobState.RUNNING
    assert dispatcher.sent == [attempt.id]
    assert len(list((settings.broker_dir / "messages").iterdir())) == 1


def test_what_nobody_claims_is_sent_again(
    store: Store,
    clock: Clock,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host()
    add_job()
    scheduler.tick()
    for _ in range(2):
        clock.advance(6)
        with store.transaction() as tx:
            hosts.heartbeat(tx, HOST, worker="w1")
        scheduler.tick()
    (attempt,) = live(store)
    assert dispatcher.sent == [attempt.id] * 3


def test_a_job_leaves_a_host_that_is_gone_before_it_was_claimed(
    store: Store,
    clock: Clock,
    scheduler: Scheduler,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host()
    number = add_job()
    scheduler.tick()
    clock.advance(31)
    scheduler.tick()
    with store.reading() as tx:
        (attempt,) = attempts.list_attempts(tx, number)
        job = jobs.get_job(tx, number)
    assert attempt.outcome is Outcome.INTERRUPTED
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 0)
    assert "no worker is running" in job.reason


def test_a_silent_workers_attempt_is_lost_but_not_before_workers_could_be_heard(
    store: Store, clock: Clock, tmp_path: Path, dispatcher: NotingDispatcher, claimed: Callable[..., Attempt]
) -> None:
    short = {"CNNCTL_LEASE_SECONDS": "0.5", "CNNCTL_HEARTBEAT_SECONDS": "0.1"}
    scheduler = Scheduler(store, load_settings({"CNNCTL_HOME": str(tmp_path), **short}), dispatcher)
    attempt = claimed()
    clock.advance(3600)
    scheduler.tick()
    assert [a.id for a in live(store)] == [attempt.id]
    deadline = time.monotonic() + 10
    while live(store):
        assert time.monotonic() < deadline
        scheduler.tick()
    with store.reading() as tx:
        job = jobs.get_job(tx, attempt.job_id)
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)


def test_two_schedulers_at_once_make_one_attempt_a_job(
    store: Store, settings: Settings, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=6)
    numbers = [add_job() for _ in range(6)]
    dispatchers = [NotingDispatcher(settings) for _ in range(3)]
    ticking = [
        threading.Thread(target=Scheduler(store, settings, dispatcher).tick) for dispatcher in dispatchers
    ]
    for thread in ticking:
        thread.start()
    for thread in ticking:
        thread.join()
    Scheduler(store, settings, dispatchers[0]).tick()
    assert sorted(a.job_id for a in live(store)) == numbers
    assert sorted(sent for d in dispatchers for sent in d.sent) == sorted(a.id for a in live(store))
