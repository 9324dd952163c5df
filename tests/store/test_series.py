"""A job has one series a metric, however often it was resumed and whatever its numbers are."""

import math
from collections.abc import Callable

import pytest
from sqlalchemy import text

from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.states import Cause, Outcome
from service.errors import DatabaseUnavailable
from service.store.jobs import attempts, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store, Transaction

Claim = Callable[..., Attempt]


def record(tx: Transaction, attempt: Attempt, *, start: int | None, points: list[Point]) -> None:
    """Let an attempt start, record and be lost."""
    if start is not None:
        attempts.set_running_if_starting(tx, attempt, start_step=start)
    metrics.add_points(tx, attempt.id, points)
    end_attempt(tx, attempt, Outcome.LOST, cause=Cause.KILLED, reason="", actor=SCHEDULER, retry_limit=9)


def run(store: Store, claimed: Claim, *parts: tuple[int | None, list[Point]]) -> JobId:
    """A job whose attempts each recorded one part."""
    job_id: JobId | None = None
    for start, points in parts:
        attempt = claimed(job_id)
        job_id = attempt.job_id
        with store.transaction() as tx:
            record(tx, attempt, start=start, points=points)
    assert job_id is not None
    return job_id


def losses(*steps: int, sign: int = 1) -> list[Point]:
    return [Point("loss", step, float(sign * step)) for step in steps]


def test_a_value_that_is_not_finite_is_stored_as_none(store: Store, claimed: Claim) -> None:
    values = [math.nan, math.inf, -math.inf, None, 0.5]
    job_id = run(store, claimed, (0, [Point("loss", step, value) for step, value in enumerate(values)]))
    with store.reading() as tx:
        series = metrics.list_series(tx, job_id)["loss"]
    assert series == [(0, None), (1, None), (2, None), (3, None), (4, 0.5)]


def test_names_steps_and_numbers_are_stored_as_they_come(store: Store, claimed: Claim) -> None:
    # JSON has whole numbers where Python had floats, and a diagnostic's name holds what a layer is called.
    names = [
        "lr",
        "conv2d/kernel",
        'a "quoted" name',
        "{braces}, commas",
        "back\\slash",
        "NULL",
        "größe",
        "tab\there",
    ]
    points = [Point(name, step, value) for name in names for step, value in [(1, 1), (2**40, 0.1), (3, None)]]
    job_id = run(store, claimed, (0, points))
    with store.reading() as tx:
        series = metrics.list_series(tx, job_id)
    assert series == {name: [(1, 1.0), (3, None), (2**40, 0.1)] for name in names}


def test_no_points_are_no_rows(store: Store, claimed: Claim) -> None:
    job_id = run(store, claimed, (0, []))
    with store.reading() as tx:
        assert metrics.list_series(tx, job_id) == {}


def test_the_final_scores_of_an_attempt_that_was_lost_after_them_are_not_doubled(
    store: Store, claimed: Claim
) -> None:
    # The second attempt finds nothing left to train: it takes no first step and scores the test images again.
    first, again = [Point("test_loss", 40, 1.0)], [Point("test_loss", 40, 2.0)]
    job_id = run(store, claimed, (0, [*losses(40), *first]), (None, again))
    with store.reading() as tx:
        series = metrics.list_series(tx, job_id)
        assert series == {"loss": [(40, 40.0)], "test_loss": [(40, 2.0)]}
        assert metrics.last_values(tx, job_id) == {"loss": 40.0, "test_loss": 2.0}


def test_an_attempt_that_had_to_go_back_further_replaces_the_points_of_all_before_it(
    store: Store, claimed: Claim
) -> None:
    job_id = run(
        store,
        claimed,
        (0, losses(10, 20, 30)),
        (20, losses(30, 40)),  # its checkpoint was damaged, so the next one starts from an older one
        (10, losses(20, 30, 40, sign=-1)),
    )
    with store.reading() as tx:
        series = metrics.list_series(tx, job_id)
    assert series == {"loss": [(10, 10.0), (20, -20.0), (30, -30.0), (40, -40.0)]}


def test_an_attempt_that_ended_before_its_first_step_hides_nothing(store: Store, claimed: Claim) -> None:
    job_id = run(store, claimed, (0, losses(10, 20)), (None, []), (20, losses(30)))
    with store.reading() as tx:
        assert metrics.list_series(tx, job_id) == {"loss": [(10, 10.0), (20, 20.0), (30, 30.0)]}


def test_jobs_keep_their_series_apart(store: Store, claimed: Claim) -> None:
    one, other = run(store, claimed, (0, losses(10))), run(store, claimed, (0, losses(10, sign=-1)))
    with store.reading() as tx:
        assert metrics.list_series(tx, one) == {"loss": [(10, 10.0)]}
        assert metrics.list_series(tx, other) == {"loss": [(10, -10.0)]}


def test_a_connection_that_breaks_under_the_points_is_an_outage(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    if store.address.startswith("sqlite"):
        pytest.skip("there is no connection to break")
    with pytest.raises(DatabaseUnavailable):
        _lose_points(store, attempt)
    with store.transaction() as tx:
        metrics.add_points(tx, attempt.id, losses(10))
    with store.reading() as tx:
        assert metrics.list_series(tx, attempt.job_id) == {"loss": [(10, 10.0)]}


def _lose_points(store: Store, attempt: Attempt) -> None:
    with store.transaction() as tx:
        session = tx.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.transaction() as other:
            other.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": session})
        metrics.add_points(tx, attempt.id, losses(10, 20))
