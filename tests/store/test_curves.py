"""Curves for a chart: exact where points have room, and with every spike where they have not."""

import math
import random
from collections.abc import Callable

import pytest
from sqlalchemy import text

from cnnctl.views.curves import CurveView
from service.commands.jobs.curves import get_curves
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.states import Cause, Outcome
from service.errors import JobNotFound, SpecError
from service.store.jobs import attempts, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store

Claim = Callable[..., Attempt]
Part = tuple[int | None, list[Point]]


def run(store: Store, claimed: Claim, *parts: Part) -> JobId:
    """A job whose attempts each recorded one part, and were lost."""
    job_id: JobId | None = None
    for start, points in parts:
        attempt = claimed(job_id)
        job_id = attempt.job_id
        with store.transaction() as tx:
            if start is not None:
                attempts.set_running_if_starting(tx, attempt, start_step=start)
            metrics.add_points(tx, attempt.id, points)
            end_attempt(
                tx, attempt, Outcome.LOST, cause=Cause.KILLED, reason="", actor=SCHEDULER, retry_limit=99
            )
    assert job_id is not None
    return job_id


def losses(*steps: int, sign: int = 1) -> list[Point]:
    return [Point("loss", step, float(sign * step)) for step in steps]


def one(store: Store, job_id: JobId, metric: str = "loss", **asked: int) -> CurveView:
    (view,) = get_curves(store, [job_id], [metric], **asked)
    return view


def test_points_that_have_room_come_back_as_they_are(store: Store, claimed: Claim) -> None:
    values = [0.1, 1 / 3, 1e308, -1e308, None, 0.5]
    job_id = run(store, claimed, (0, [Point("loss", 7 * n, value) for n, value in enumerate(values)]))
    view = one(store, job_id)
    assert view.points == [(7 * n, value, value, value) for n, value in enumerate(values)]
    assert (view.decimated, view.total, view.not_finite, view.last) == (False, 6, 1, 0.5)


@pytest.mark.parametrize("points", [1, 2, 7, 600, 2000])
def test_a_spike_in_one_of_10_000_points_is_seen_at_every_zoom(
    store: Store, claimed: Claim, points: int
) -> None:
    spike = 6543
    recorded = [Point("loss", step, 1e6 if step == spike else 1.0) for step in range(1, 10_001)]
    job_id = run(store, claimed, (0, recorded))
    for start, end in ((1, 10_000), (5000, 7000), (6500, 6600), (spike, spike)):
        view = one(store, job_id, start=start, end=end, points=points)
        assert [high for _, _, high, _ in view.points].count(1e6) == 1
        assert len(view.points) <= points
        assert view.total == end - start + 1
        assert view.decimated == (view.total > points)
        assert view.points[0][0] == start


def test_buckets_keep_least_largest_and_mean(store: Store, claimed: Claim) -> None:
    job_id = run(store, claimed, (0, [*losses(1, 2, 3, 4, 5), Point("loss", 6, math.nan)]))
    view = one(store, job_id, points=2)
    assert view.points == [(1, 1.0, 3.0, 2.0), (4, 4.0, 5.0, 4.5)]
    assert (view.total, view.not_finite, view.last, view.decimated) == (6, 1, None, True)


def test_a_bucket_without_a_finite_point_has_no_values(store: Store, claimed: Claim) -> None:
    job_id = run(store, claimed, (0, [Point("loss", 1, math.inf), Point("loss", 2, None)]))
    assert one(store, job_id, points=1).points == [(1, None, None, None)]


@pytest.mark.parametrize("points", [1, 3, 600])
def test_what_counts_is_what_the_series_of_a_job_shows(store: Store, claimed: Claim, points: int) -> None:
    rng = random.Random(points)
    for _ in range(8):
        parts: list[Part] = []
        for _ in range(rng.randrange(1, 5)):
            start = rng.choice([None, 0, 10, 20, 30])
            first = 40 if start is None else start
            steps = sorted({rng.choice([0, first]), *range(first + 1, first + rng.randrange(1, 25))})
            parts.append((start, [Point("loss", step, rng.random()) for step in steps]))
        job_id = run(store, claimed, *parts)
        with store.reading() as tx:
            series = sorted(metrics.list_series(tx, job_id)["loss"])
        view = one(store, job_id, points=points)
        assert view.total == len(series)
        assert view.last == series[-1][1]
        assert min(low for _, low, _, _ in view.points if low is not None) == min(v for _, v in series if v)
        if points == 600:
            assert view.points == [(step, value, value, value) for step, value in series]


def test_the_buckets_are_the_same_for_all_curves(store: Store, claimed: Claim) -> None:
    short, long = run(store, claimed, (0, losses(1, 2))), run(store, claimed, (0, losses(1, 2, 99, 100)))
    views = get_curves(store, [long, short], ["loss", "lr"], points=2)
    assert [(view.job, view.metric) for view in views] == [
        (long, "loss"),
        (long, "lr"),
        (short, "loss"),
        (short, "lr"),
    ]
    assert views[0].points == [(1, 1.0, 2.0, 1.5), (99, 99.0, 100.0, 99.5)]
    assert views[2].points == [(1, 1.0, 2.0, 1.5)]
    assert (views[1].points, views[1].total, views[1].last, views[1].decimated) == ([], 0, None, False)


def test_the_clock_adds_up_the_epochs_that_count(store: Store, claimed: Claim) -> None:
    def speed(step: int, value: float | None) -> Point:
        return Point("images_per_second", step, value)

    job_id = run(
        store,
        claimed,
        (0, [*losses(10, 20, 30), speed(10, 320.0), speed(20, 160.0), speed(30, 1.0)]),
        (20, [*losses(30, 40), speed(30, 32.0), speed(40, None)]),
    )
    view = one(store, job_id)
    assert view.steps_per_epoch == 10
    assert view.clock == [(10, 1.0), (20, 3.0), (30, 13.0), (40, 13.0)]  # of batches of 32 images
    assert one(store, job_id, start=20, end=30).clock == [(10, 1.0), (20, 3.0), (30, 13.0)]
    assert one(store, job_id, points=1).clock == [(40, 13.0)]
    with store.transaction() as tx:
        tx.connection.execute(text("UPDATE jobs SET spec = '[]'"))
    assert one(store, job_id).clock == []


def test_whatever_a_log_holds_is_counted(store: Store, claimed: Claim) -> None:
    steps = [0, 1, 2**62, 2**63 - 1]
    values = [1e308, 1e308, -1e308, 5e-324]
    job_id = run(store, claimed, (0, [Point("loss", *pair) for pair in zip(steps, values, strict=True)]))
    view = one(store, job_id, points=2)
    assert [point[0] for point in view.points] == [0, 2**62]
    assert [point[1:3] for point in view.points] == [(1e308, 1e308), (-1e308, 5e-324)]
    assert all(low <= mean <= high for _, low, high, mean in view.points if low and high and mean)


def test_what_no_chart_needs_is_refused_in_words(store: Store, claimed: Claim) -> None:
    job_id = run(store, claimed, (0, losses(1)))
    for jobs, names, asked, words in (
        ([], ["loss"], {}, "job must have a length from 1 to 100"),
        ([job_id], [], {}, "metric must have a length from 1 to 20"),
        ([job_id], ["x" * 65], {}, "metric must have a length from 1 to 64"),
        ([job_id], ["loss"], {"points": 2001}, "points must have a value from 1 to 2,000"),
        ([job_id], ["loss"], {"start": -1}, "start must have a value from 0"),
        ([job_id], ["loss"], {"end": 2**63}, "end must have a value from 0"),
        ([job_id], ["loss"], {"start": 2, "end": 1}, "start must not be after end"),
        ([job_id] * 100, ["loss", "lr"], {"points": 2000}, "more than the 200,000 points"),
    ):
        with pytest.raises(SpecError, match=words):
            get_curves(store, jobs, names, **asked)
    with pytest.raises(JobNotFound):
        get_curves(store, [job_id, JobId(99)], ["loss"])
