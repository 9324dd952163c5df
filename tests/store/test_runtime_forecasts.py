"""What the scheduler learns from the jobs that have ended, on real databases."""

import json
from collections.abc import Callable

import pytest

from service.domain.jobs import Attempt, JobId, Progress
from service.domain.people import Actor
from service.domain.states import JobState, Outcome
from service.scheduler.runtime_forecasts import LEARN_SECONDS, START_SECONDS, RuntimeForecasts
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import HOST, Clock, place

EPOCHS = 10


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
                end_attempt(tx, attempt, outcome, reason="", actor=Actor(name="test"), retry_limit=0)


def test_jobs_of_the_same_work_tell_the_seconds_of_an_epoch(
    store: Store, clock: Clock, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=1)
    number = add_job(owner="bob")
    train(store, clock, number, seconds=10, epochs=2)  # it stopped early
    forecasts = RuntimeForecasts(clock=lambda: clock.now.timestamp())
    mine, wider = add_job(), add_job(gpus=2)
    with store.reading() as tx:
        epochs = json.loads(jobs.get_job(tx, mine).spec)["training"]["epochs"]
    whole = START_SECONDS + 5.0 * epochs
    assert expect(store, forecasts, mine) == whole
    assert expect(store, forecasts, mine, held_gpu_seconds=whole - 3) == pytest.approx(3)
    assert expect(store, forecasts, mine, held_gpu_seconds=whole + 1) is None
    assert expect(store, forecasts, wider) is None


def test_a_job_that_was_retried_is_learned_from_again(
    store: Store, clock: Clock, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=1)
    number, mine = add_job(), add_job()
    with store.transaction() as tx:
        failed = place(tx, number, "gpu01-0")
        end_attempt(tx, failed, Outcome.FAILED, reason="", actor=Actor(name="test"), retry_limit=0)
    forecasts = RuntimeForecasts(clock=lambda: clock.now.timestamp())
    assert expect(store, forecasts, mine) is None
    with store.transaction() as tx:
        jobs.set_state_if(tx, number, JobState.FAILED, JobState.QUEUED, reason="")
    train(store, clock, number, seconds=100, epochs=2)
    assert expect(store, forecasts, mine) is not None


def test_a_job_that_goes_on_keeps_the_pace_that_it_had(
    store: Store, clock: Clock, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=1)
    number = add_job()
    before = train(store, clock, number, seconds=20, epochs=2, outcome=Outcome.INTERRUPTED)
    forecasts = RuntimeForecasts(clock=lambda: clock.now.timestamp())
    with store.transaction() as tx:
        job = jobs.get_job(tx, number)
        waiting = forecasts.find(job, before, held_gpu_seconds=20.0, now=tx.now)
        again = place(tx, number, "gpu01-0")
        starting = forecasts.find(job, again, held_gpu_seconds=21.0, now=tx.now)
    assert waiting
    assert starting
    assert waiting.expected_seconds == 10.0 * (EPOCHS - 2)
    assert starting.expected_seconds == waiting.expected_seconds - 1.0


def train(
    store: Store,
    clock: Clock,
    number: JobId,
    *,
    seconds: float,
    epochs: int,
    outcome: Outcome = Outcome.SUCCEEDED,
) -> Attempt:
    """Let a job train so many of its epochs in so many seconds, and end."""
    with store.transaction() as tx:
        attempt = attempts.claim(
            tx, place(tx, number, "gpu01-0").id, worker="w1", host_name=HOST, runs_dir="/runs"
        )
        assert attempt
        attempts.set_running_if_starting(tx, attempt, start_step=0)
    clock.advance(seconds)
    progress = Progress(
        epoch=epochs,
        epochs=EPOCHS,
        step=40 * epochs,
        steps_per_epoch=40,
        images_per_second=1.0,
        loss=None,
        accuracy=None,
    )
    with store.transaction() as tx:
        attempts.write_progress(tx, attempt, progress)
        attempts.write(tx, attempt, epochs_completed=epochs)
        end_attempt(tx, attempt, outcome, reason="", actor=Actor(name="test"), retry_limit=0)
        return attempts.get_attempt(tx, attempt.id)


def expect(
    store: Store, forecasts: RuntimeForecasts, number: JobId, *, held_gpu_seconds: float = 0.0
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
    forecasts = RuntimeForecasts(clock=lambda: clock.now.timestamp())
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
    forecasts = RuntimeForecasts(clock=lambda: clock.now.timestamp())
    assert expect(store, forecasts, mine) is None
    clock.advance(LEARN_SECONDS)
    assert expect(store, forecasts, mine) is None
    with store.reading() as tx:
        assert [job.id for job in jobs.list_jobs_in(tx, JobState.QUEUED)] == [mine]
