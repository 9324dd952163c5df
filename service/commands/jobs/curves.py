"""The curves of several jobs, as a chart of so many pixels shows them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from cnnctl.views.curves import CurveView
from service.bound import Bound
from service.domain.jobs import Job, JobId
from service.domain.stored_spec import load_spec_tree
from service.errors import SpecError
from service.store.jobs import curves, jobs
from service.store.jobs.curves import Bucket, Buckets
from service.store.transaction import Store

JOBS = Bound(least=1, most=100, why="more curves cannot be told apart")
METRICS = Bound(least=1, most=20, why="more are asked for one after the other")
NAME = Bound(least=1, most=64, why="no metric has a longer name")
POINTS = Bound(least=1, most=2000, why="no chart has more pixels side by side")
STEP = Bound(least=0, most=2**62, why="no job has as many steps")
MOST_POINTS = 200_000  # of one answer: some 10 MB
EPOCH_METRIC = "loss"
SPEED = "images_per_second"

Row = Sequence[Bucket]


def get_curves(
    store: Store,
    job_ids: Sequence[JobId],
    metrics: Sequence[str],
    *,
    start: int | None = None,
    end: int | None = None,
    points: int = 600,
) -> Sequence[CurveView]:
    """The curves of jobs from step `start` to `end`, of so many points at most each, in the order given.

    The range, by default all steps of all these curves, is cut into buckets of equal width. Each keeps the
    least and the largest of its values, so a spike of one point is seen however many there are.

    Raises:
        JobNotFound: there is no such job.
        SpecError: something is beyond its bounds.
    """
    check_bounds(job_ids, metrics, start=start, end=end, points=points)
    with store.reading() as tx:
        found = jobs.get_jobs(tx, dict.fromkeys(job_ids))
        ids, names = [job.id for job in found], list(dict.fromkeys(metrics))
        extents = curves.find_extents(tx, ids, names, start=start, end=end)
        epochs = curves.find_extents(tx, ids, [EPOCH_METRIC])
        buckets = cut_range(extents, start=start, end=end, points=points)
        rows = curves.list_buckets(tx, ids, names, buckets)
        clocks = curves.list_epoch_seconds(tx, ids, speed=SPEED, buckets=buckets)
    views = []
    for job in found:
        epoch = epochs.get((job.id, EPOCH_METRIC))
        steps = epoch.first or None if epoch else None
        clock = list(_tell_time(job, steps, clocks.get(job.id, ())))[-points:]
        for name in names:
            extent = extents.get((job.id, name))
            views.append(
                _view(
                    rows.get((job.id, name), ()),
                    job=job.id,
                    metric=name,
                    steps_per_epoch=steps,
                    last=extent.value if extent else None,
                    clock=clock,
                )
            )
    return views


def _view(row: Row, **values: Any) -> CurveView:
    total = sum(one.points for one in row)
    return CurveView(
        decimated=any(one.points > 1 for one in row),
        total=total,
        not_finite=total - sum(one.finite for one in row),
        points=[(one.step, one.low, one.high, one.mean) for one in row],
        **values,
    )


def check_bounds(
    job_ids: Sequence[JobId], metrics: Sequence[str], *, start: int | None, end: int | None, points: int
) -> None:
    """Refuse what no chart needs.

    Raises:
        SpecError: something is beyond its bounds, or the answer would be too long.
    """
    for bound, name, value in (
        (JOBS, "job", job_ids),
        (METRICS, "metric", metrics),
        (POINTS, "points", points),
        (STEP, "start", start),
        (STEP, "end", end),
        *((NAME, "metric", metric) for metric in metrics),
    ):
        bound.check(name, value)
    if start is not None and end is not None and start > end:
        raise SpecError(f"start must not be after end. Received: {start} and {end}")
    if len(job_ids) * len(metrics) * points > MOST_POINTS:
        raise SpecError(
            f"{len(job_ids)} jobs with {len(metrics)} metrics of {points} points each are more than the "
            f"{MOST_POINTS:,} points of an answer. Ask for fewer points, or for some metrics at a time"
        )


def cut_range(
    extents: Mapping[curves.Curve, curves.Extent], *, start: int | None, end: int | None, points: int
) -> Buckets:
    """The range that was asked for in buckets; what was not said of it is where the curves end."""
    if start is None:
        start = min((one.first for one in extents.values()), default=0)
    if end is None:
        end = max((one.last for one in extents.values()), default=start)
    return Buckets(start=start, end=max(start, end), count=points)


def _tell_time(
    job: Job, steps_per_epoch: int | None, epochs: Sequence[tuple[int, float]]
) -> Iterator[tuple[int, float]]:
    """Step and seconds of training up to it: an epoch's images over its speed, added up."""
    batch_size = _find_batch_size(job)
    if not steps_per_epoch or batch_size is None:
        return
    images = steps_per_epoch * batch_size
    seconds = accumulate(images * inverse for _, inverse in epochs)
    yield from zip((step for step, _ in epochs), seconds, strict=True)


def _find_batch_size(job: Job) -> int | None:
    try:
        size = load_spec_tree(job.spec)["training"]["batch_size"]
    except Exception:  # a stored text may be anything, and curves can be drawn without a clock
        return None
    return size if isinstance(size, int) and 0 < size < 2**31 else None
