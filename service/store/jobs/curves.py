"""Curves of many jobs for a chart: SQL counts the points of each bucket of steps and gives one row for them.

Which points count is as in `metrics.list_series`: those of a later attempt replace those of earlier ones.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import CTE, BigInteger, ColumnElement, Select, bindparam, case, func, select

from service.db.tables import attempts, metrics
from service.domain.jobs import JobId
from service.store.transaction import Transaction

# A sum of larger numbers, which no trainer records but a log may hold, could leave what a float can be.
LARGEST_SUMMED = 1e150
SLOWEST = 1e-6  # images per second; what is slower is no measurement
_FACTOR_BITS = 51  # of a step's distance from the start, so that 64 bits hold its product with the count

Curve = tuple[JobId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The steps from `start` to `end`, both included, cut into so many buckets of equal width."""

    start: int
    end: int
    count: int

    def number(self) -> ColumnElement[int]:
        """The bucket of a point in SQL, from 0; in whole numbers, which both databases divide alike."""
        width = self.end - self.start + 1
        coarse = 1 << max(0, width.bit_length() - _FACTOR_BITS)
        return (metrics.c.step - self.start) // coarse * self.count // -(-width // coarse)


class Bucket(NamedTuple):
    """The points of one curve in one bucket; a tuple, as a chart has 100,000 of them."""

    number: int
    step: int
    """Of its first point."""
    points: int
    finite: int
    """So many of the points are finite numbers; the rest of the fields is None where none is."""
    low: float | None
    high: float | None
    total: float | None
    """The sum, in which no number counts for more than LARGEST_SUMMED."""

    @property
    def mean(self) -> float | None:
        if self.low is None or self.high is None or self.total is None:
            return None
        return min(max(self.total / self.finite, self.low), self.high)  # so one point's mean is its value

    def add(self, other: "Bucket") -> "Bucket":
        """The same bucket with points of another attempt."""
        lows = [one.low for one in (self, other) if one.low is not None]
        highs = [one.high for one in (self, other) if one.high is not None]
        totals = [one.total for one in (self, other) if one.total is not None]
        return Bucket(
            number=self.number,
            step=min(self.step, other.step),
            points=self.points + other.points,
            finite=self.finite + other.finite,
            low=min(lows, default=None),
            high=max(highs, default=None),
            total=sum(totals) if totals else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """From where to where a curve goes."""

    first: int
    last: int
    value: float | None
    """At the last step."""


def find_extents(
    tx: Transaction,
    job_ids: Collection[JobId],
    names: Collection[str],
    *,
    start: int | None = None,
    end: int | None = None,
) -> Mapping[Curve, Extent]:
    """From where to where each curve goes within a range of steps; curves without a point are left out.

    Each end is looked up in the index of the points: no curve is read for it.
    """
    found: dict[Curve, Extent] = {}
    for name in names:
        for job_id, first, last, value in tx.connection.execute(_select_ends(job_ids, name, start, end)):
            if last is None:
                continue
            before = found.get((job_id, name))
            if before is not None:
                first = min(first, before.first)
                last, value = max((last, value), (before.last, before.value), key=lambda one: one[0])
            found[job_id, name] = Extent(first=first, last=last, value=value)
    return found


def _select_ends(job_ids: Collection[JobId], name: str, start: int | None, end: int | None) -> Select[Any]:
    """The ends of each attempt's share of a curve, the newest attempt of a job first."""
    spans = _span(job_ids)
    mine = (metrics.c.attempt_id == spans.c.id) & (metrics.c.name == name) & _counts(spans)
    mine &= metrics.c.step.between(start or 0, 2**63 - 1 if end is None else end)
    at_first, at_last = metrics.c.step, metrics.c.step.desc()

    def look(column: ColumnElement[Any], order: ColumnElement[Any]) -> ColumnElement[Any]:
        return select(column).where(mine).order_by(order).limit(1).correlate(spans).scalar_subquery()

    return select(
        spans.c.job_id,
        look(metrics.c.step, at_first),
        look(metrics.c.step, at_last),
        look(metrics.c.value, at_last),
    ).order_by(spans.c.job_id, spans.c.number.desc())


def list_buckets(
    tx: Transaction, job_ids: Collection[JobId], names: Collection[str], buckets: Buckets
) -> Mapping[Curve, Sequence[Bucket]]:
    """The points of each curve, one row for all in one bucket, in the order of steps."""
    value = metrics.c.value
    bounded = case(
        (value > LARGEST_SUMMED, LARGEST_SUMMED), (value < -LARGEST_SUMMED, -LARGEST_SUMMED), else_=value
    )
    columns = [
        buckets.number().label("bucket"),
        func.min(metrics.c.step),
        func.count(),
        func.count(value),
        func.min(value),
        func.max(value),
        func.sum(bounded),
    ]
    found: dict[Curve, dict[int, Bucket]] = {}
    for curve, row in _list_rows(tx, job_ids, names, buckets, columns):
        bucket, of_curve = Bucket(*row), found.setdefault(curve, {})
        there = of_curve.get(bucket.number)
        of_curve[bucket.number] = there.add(bucket) if there else bucket
    return {curve: [rows[number] for number in sorted(rows)] for curve, rows in found.items()}


def list_epoch_seconds(
    tx: Transaction, job_ids: Collection[JobId], *, speed: str, buckets: Buckets
) -> Mapping[JobId, Sequence[tuple[int, float]]]:
    """Per job and bucket the last step and the sum of 1 / `speed`; all before the first bucket are one."""
    number = case((metrics.c.step < buckets.start, -1), else_=buckets.number()).label("bucket")
    inverse = case((metrics.c.value >= SLOWEST, 1.0 / metrics.c.value))
    columns = [number, func.max(metrics.c.step), func.coalesce(func.sum(inverse), 0.0)]
    from_zero = Buckets(start=0, end=buckets.end, count=1)
    found: dict[JobId, dict[int, tuple[int, float]]] = {}
    for (job_id, _), (bucket, step, seconds) in _list_rows(tx, job_ids, [speed], from_zero, columns):
        of_job = found.setdefault(job_id, {})
        before, sum_before = of_job.get(bucket, (0, 0.0))
        of_job[bucket] = max(before, step), sum_before + seconds
    return {job_id: [of_job[bucket] for bucket in sorted(of_job)] for job_id, of_job in found.items()}


def _list_rows(
    tx: Transaction,
    job_ids: Collection[JobId],
    names: Collection[str],
    within: Buckets,
    columns: Sequence[ColumnElement[Any]],
) -> Iterator[tuple[Curve, Sequence[Any]]]:
    """These columns of each bucket, which is the first of them, attempt by attempt.

    One statement for all attempts would be simpler, and takes ten times as long on PostgreSQL, which sorts a
    million points for it.
    """
    spans = _span(job_ids)
    replaced: dict[Curve, list[tuple[int, int]]] = {}
    for job_id, name, step, number in tx.connection.execute(_select_again(spans, names)):
        replaced.setdefault((job_id, name), []).append((number, step))
    mine = (metrics.c.attempt_id == bindparam("attempt")) & (metrics.c.name == bindparam("metric"))
    plain = select(*columns).where(
        mine, metrics.c.step.between(within.start, bindparam("last", type_=BigInteger))
    )
    plain = plain.group_by("bucket")
    for span in tx.connection.execute(select(spans)).all():
        last = within.end if span.last_step is None else min(within.end, span.last_step)
        for name in names:
            curve = (span.job_id, name)
            again = [step for number, step in replaced.get(curve, ()) if number > span.number]
            steps: Any = bindparam("steps", again, expanding=True, literal_execute=True)
            statement = plain.where(metrics.c.step.not_in(steps)) if again else plain
            values = {"attempt": span.id, "metric": name, "last": last}
            for row in tx.connection.execute(statement, values).all():
                yield curve, row


def _span(job_ids: Collection[JobId]) -> CTE:
    """The attempts of jobs, and up to which step their points count: as `metrics._last_valid_steps`."""
    later = attempts.alias("later")
    limit = select(func.min(later.c.start_step)).where(
        later.c.job_id == attempts.c.job_id, later.c.number > attempts.c.number
    )
    columns = (attempts.c.id, attempts.c.job_id, attempts.c.number, attempts.c.start_step)
    statement = select(*columns, limit.scalar_subquery().label("last_step"))
    return statement.where(attempts.c.job_id.in_(job_ids)).cte("spans")


def _counts(spans: CTE) -> ColumnElement[bool]:
    return spans.c.last_step.is_(None) | (metrics.c.step <= spans.c.last_step)


def _select_again(spans: CTE, names: Collection[str]) -> Select[Any]:
    """Points that an earlier attempt may have, too, with the newest attempt that has them.

    An attempt goes on after its first step, so only what it recorded up to there can be there already: what
    is said once, at step 0, and the final scores of one that found nothing left to train.
    """
    early = spans.c.start_step.is_(None) | (metrics.c.step <= spans.c.start_step)
    return (
        select(spans.c.job_id, metrics.c.name, metrics.c.step, func.max(spans.c.number).label("number"))
        .join(metrics, metrics.c.attempt_id == spans.c.id)
        .where(spans.c.number > 1, metrics.c.name.in_(names), early, _counts(spans))
        .group_by(spans.c.job_id, metrics.c.name, metrics.c.step)
    )
