"""What the scheduler learns from the jobs that have ended, on real databases."""

import json
from collections.abc import Callable

import pytest

from service.domain.jobs import JobId
from service.domain.states import JobState, Outcome
from service.scheduler.forecasts import LEARN_SECONDS, Forecasts
from service.store import attempts, jobs
from service.store.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import Clock, place


class Ended:
    """Lets jobs of an owner run for so long and end."""

    def __init__(self, store: Store, clock: Clock, add_job: Callable[..., JobId]) -> None:
        self._store, self._clock, self._add_job = store, clock, add_job

    def __call__(self, *seconds: float, outcome: Outcome = Outcome.SUCCEEDED, owner: str = "ada") -> None:
        for span in seconds:
            number = self._add_job(owner=owner)
            with self._store.transaction() as tx:
                attempt = place(tx, number, "gpu01-0")
            self._clock.advance(span)
            with self._store.transaction() as tx:
                end_attempt(tx, attempt, outcome, reason="", actor="test", retry_limit=0)


def test_jobs_of_the_same_kind_tell_the_seconds_of_an_epoch(
    store: Store, clock: Clock, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=1)
    number = add_job(owner="bob")
    with store.transaction() as tx:
        attempt = place(tx, number, "gpu01-0")
        epochs = json.loads(jobs.get_job(tx, number).spec)["training"]["epochs"]
        attempts.write(tx, attempt, epochs_completed=epochs // 2)  # it stopped early
    clock.advance(100)
    with store.transaction() as tx:
        end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor="test", retry_limit=0)
    forecasts = Forecasts(clock=lambda: clock.now.timestamp())
    mine, wider = add_job(), add_job(gpus=2)
    assert expect(store, forecasts, mine) == pytest.approx(200)
    assert expect(store, forecasts, mine, held_gpu_seconds=150) == pytest.approx(50)
    assert expect(store, forecasts, mine, held_gpu_seconds=250) is None
    assert expect(store, forecasts, wider) is None


def expect(
    store: Store, forecasts: Forecasts, number: JobId, *, held_gpu_seconds: float = 0.0
) -> float | None:
    with store.reading() as tx:
        forecasts.learn(tx)
        job = jobs.get_job(tx, number)
        found = forecasts.find(job, None, held_gpu_seconds=held_gpu_seconds, now=tx.now)
    return found.expected_seconds if found else None


def test_jobs_are_expected_to_run_as_long_as_their_owners_others_did(
    store: Store, clock: Clock, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=1)
    let_end = Ended(store, clock, add_job)
    let_end(100, 100, outcome=Outcome.CANCELLED)
    let_end(100, 700, owner="bob")
    forecasts = Forecasts(clock=lambda: clock.now.timestamp())
    mine = add_job()
    assert expect(store, forecasts, mine) is None  # two tell nothing
    clock.advance(LEARN_SECONDS)
    let_end(100, 400)
    clock.advance(LEARN_SECONDS)
    assert expect(store, forecasts, mine) == 100
    assert expect(store, forecasts, mine, held_gpu_seconds=150) is None  # only one ran for longer
    clock.advance(LEARN_SECONDS)
    let_end(400, 410)
    clock.advance(LEARN_SECONDS)
    assert expect(store, forecasts, mine, held_gpu_seconds=150) == 250


def test_every_job_is_learned_from_once(
    store: Store, clock: Clock, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=1)
    let_end = Ended(store, clock, add_job)
    let_end(100, 100)
    mine = add_job()
    forecasts = Forecasts(clock=lambda: clock.now.timestamp())
    assert expect(store, forecasts, mine) is None
    clock.advance(LEARN_SECONDS)
    assert expect(store, forecasts, mine) is None
    with store.reading() as tx:
        assert [job.id for job in jobs.list_jobs_in(tx, JobState.QUEUED)] == [mine]
