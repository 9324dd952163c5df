"""Bands over repeated jobs: as NumPy and SciPy compute them, one for each spec but for the seed."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from service.commands.jobs.bands import get_bands
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.spec_request import resolve_spec
from service.domain.states import Outcome
from service.errors import JobNotFound, SpecError
from service.store.jobs import attempts, jobs, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store

Claim = Callable[..., Attempt]
Record = Callable[..., JobId]


@pytest.fixture
def record(store: Store, claimed: Claim) -> Record:
    """A job that has recorded `val_loss` at the end of epochs of 100 steps."""

    def add(values: list[float | None], architecture: str = "lenet5", **fields: object) -> JobId:
        spec = resolve_spec(architecture, {name.replace("__", "."): value for name, value in fields.items()})
        with store.transaction() as tx:
            job_id = jobs.create_job(tx, spec, owner="ada", reason="")
        attempt = claimed(job_id)
        with store.transaction() as tx:
            attempts.set_running_if_starting(tx, attempt, start_step=0)
            points = [Point("val_loss", 100 * (epoch + 1), value) for epoch, value in enumerate(values)]
            metrics.add_points(tx, attempt.id, points)
            end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=SCHEDULER, retry_limit=0)
        return job_id

    return add


def test_the_band_of_an_epoch_metric_is_that_of_numpy_and_scipy(store: Store, record: Record) -> None:
    rng = random.Random(1)
    series = [[rng.gauss(1 / epoch, 0.1) for epoch in range(1, 31)] for _ in range(5)]
    ids = [record(list(one), training__seed=seed) for seed, one in enumerate(series)]
    (band,) = get_bands(store, ids, "val_loss")
    assert (band.group, band.jobs, band.metric) == ({}, ids, "val_loss")
    values = np.array(series)
    mean = values.mean(axis=0)
    half = stats.t.ppf(0.975, 4) * values.std(axis=0, ddof=1) / np.sqrt(5)
    steps, means, lows, highs, counts = zip(*band.points, strict=True)
    assert steps == tuple(range(100, 3001, 100))
    assert set(counts) == {5}
    np.testing.assert_allclose(means, mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(lows, mean - half, rtol=0, atol=1e-9)
    np.testing.assert_allclose(highs, mean + half, rtol=0, atol=1e-9)


def test_jobs_that_differ_in_more_than_their_seed_have_bands_of_their_own(
    store: Store, record: Record
) -> None:
    a, b = record([1.0], training__seed=1), record([3.0], training__seed=2, optimizer__lr=0.5)
    c, d = record([2.0], training__seed=3), record([4.0], "mlp", model__hidden_units=7)
    bands = get_bands(store, [a, b, c, d], "val_loss")
    assert [band.jobs for band in bands] == [[a, c], [b], [d]]
    assert [band.group["optimizer.lr"] for band in bands] == [0.01, 0.5, 0.01]
    assert [band.group["model.options.hidden_units"] for band in bands] == [None, None, 7]
    assert "training.epochs" not in bands[0].group
    assert bands[0].points[0][:2] == (100, 1.5)
    assert bands[1].points == [(100, 3.0, None, None, 1)]
    both = get_bands(store, [a, b, c], "val_loss", ignoring=["training.seed", "optimizer.lr"])
    assert [(band.group, band.jobs) for band in both] == [({}, [a, b, c])]


def test_only_jobs_with_a_finite_point_count(store: Store, record: Record) -> None:
    ids = [
        record(values, training__seed=len(values))
        for values in ([1.0, None, 5.0], [1.0, None], [1.0, 3.0, 5.0, 7.0])
    ]
    (band,) = get_bands(store, ids, "val_loss")
    assert band.points == [
        (100, 1.0, 1.0, 1.0, 3),
        (200, 3.0, None, None, 1),
        (300, 5.0, 5.0, 5.0, 2),
        (400, 7.0, None, None, 1),
    ]


def test_a_bucket_in_which_no_job_has_a_finite_point_interrupts_the_band(
    store: Store, record: Record
) -> None:
    ids = [record([1.0, None, 3.0], training__seed=seed) for seed in range(2)]
    (band,) = get_bands(store, ids, "val_loss")
    assert band.points == [(100, 1.0, 1.0, 1.0, 2), (200, None, None, None, 0), (300, 3.0, 3.0, 3.0, 2)]


def test_a_band_of_a_log_of_whatever_numbers_is_of_numbers(store: Store, record: Record) -> None:
    ids = [record([value], training__seed=seed) for seed, value in enumerate((1.7e308, -1.7e308, 1.7e308))]
    (band,) = get_bands(store, ids, "val_loss")
    assert np.isfinite(np.array(band.points[0], dtype=float)).all()


def test_what_makes_no_band_is_refused(store: Store, record: Record) -> None:
    job_id = record([1.0])
    with pytest.raises(SpecError, match="No spec of these jobs has a field"):
        get_bands(store, [job_id], "val_loss", ignoring=["training.sead"])
    with pytest.raises(JobNotFound):
        get_bands(store, [JobId(99)], "val_loss")
    assert get_bands(store, [job_id], "lr")[0].points == []
