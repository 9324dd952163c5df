"""Metric points: stored in bulk, and read as one series per job, however often it was resumed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select, text, update

from service.db.tables import attempts, metrics
from service.domain.jobs import AttemptId, JobId
from service.domain.metrics import STALL, Point
from service.store.transaction import Transaction

# Directly through the drivers: SQLAlchemy spends more time on a row than SQLite, and psycopg more on a
# statement than on a row of a COPY.
_INSERT = "INSERT INTO metrics (attempt_id, name, step, value) VALUES (?, ?, ?, ?)"
_COPY = "COPY metrics (attempt_id, name, step, value) FROM STDIN"
# One name after the other, each with its newest point; a GROUP BY would read all points.
_LAST_VALUES = text("""
WITH RECURSIVE names(name) AS (
    SELECT min(name) FROM metrics WHERE attempt_id = :attempt
    UNION ALL
    SELECT (SELECT min(m.name) FROM metrics AS m WHERE m.attempt_id = :attempt AND m.name > names.name)
    FROM names WHERE names.name IS NOT NULL
), newest AS (
    SELECT name, (SELECT max(m.step) FROM metrics AS m
        WHERE m.attempt_id = :attempt AND m.name = names.name AND m.step <= :last) AS step
    FROM names WHERE name IS NOT NULL
)
SELECT newest.name, newest.step, m.value FROM newest
LEFT JOIN metrics AS m ON m.attempt_id = :attempt AND m.name = newest.name AND m.step = newest.step
""")
LARGEST_STEP = 2**63 - 1
LONGEST_STALL_SECONDS = 86_400.0  # that is counted


def add_points(tx: Transaction, attempt_id: AttemptId, points: Iterable[Point]) -> None:
    """Store points; the caller stores the event offset in the same transaction, so no point comes twice."""
    rows = [(attempt_id, point.name, point.step, _finite(point.value)) for point in points]
    if not rows:
        return
    _count_stalls(tx, attempt_id, [value for _, name, _, value in rows if name == STALL])
    if tx.connection.dialect.name == "sqlite":
        tx.connection.exec_driver_sql(_INSERT, rows)
        return
    driver: Any = tx.connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row(row)


def _count_stalls(tx: Transaction, attempt_id: AttemptId, stalls: Sequence[float | None]) -> None:
    """Add stalls to their attempt's sum; leaves out values that no trainer measures, but a log may hold."""
    seconds = [value for value in stalls if value is not None and 0 <= value <= LONGEST_STALL_SECONDS]
    if seconds:
        more = {
            "stalls": attempts.c.stalls + len(seconds),
            "stall_seconds": attempts.c.stall_seconds + sum(seconds),
        }
        tx.connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(more))


def list_series(
    tx: Transaction, job_id: JobId, *, names: Sequence[str] = (), after: int | None = None
) -> Mapping[str, list[tuple[int, float | None]]]:
    """Each metric's points by step; points of a later attempt replace earlier points of the same steps.

    With `after`, only points of later steps.
    """
    last_steps = _last_valid_steps(tx, job_id)
    statement = (
        select(metrics.c.attempt_id, metrics.c.name, metrics.c.step, metrics.c.value)
        .where(metrics.c.attempt_id.in_(list(last_steps)))
        .order_by(metrics.c.name, metrics.c.attempt_id, metrics.c.step)
    )
    if names:
        statement = statement.where(metrics.c.name.in_(names))
    if after is not None:
        statement = statement.where(metrics.c.step > after)
    # By step: an attempt that was lost after its last step has scored the test images, and so does the next.
    series: dict[str, dict[int, float | None]] = {}
    for attempt_id, name, step, value in tx.connection.execute(statement):
        limit = last_steps[attempt_id]
        if limit is None or step <= limit:
            series.setdefault(name, {})[step] = value
    return {name: list(points.items()) for name, points in series.items()}


def last_values(tx: Transaction, job_id: JobId) -> Mapping[str, float | None]:
    """The newest value of each metric of a job."""
    last_steps = _last_valid_steps(tx, job_id)
    values: dict[str, float | None] = {}
    for attempt_id, limit in last_steps.items():
        values.update(_last_values_of_attempt(tx, attempt_id, limit))
    return values


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _last_values_of_attempt(
    tx: Transaction, attempt_id: AttemptId, limit: int | None
) -> Mapping[str, float | None]:
    """By two steps in the primary key for each metric: a long run has many thousand points of each."""
    values = {"attempt": attempt_id, "last": LARGEST_STEP if limit is None else limit}
    return {
        row.name: row.value for row in tx.connection.execute(_LAST_VALUES, values) if row.step is not None
    }


def _last_valid_steps(tx: Transaction, job_id: JobId) -> Mapping[AttemptId, int | None]:
    """Up to which step each attempt's points count: to the earliest step at which a later attempt resumed."""
    statement = (
        select(attempts.c.id, attempts.c.start_step)
        .where(attempts.c.job_id == job_id)
        .order_by(attempts.c.number.desc())
    )
    limits: dict[AttemptId, int | None] = {}
    earliest: int | None = None
    for attempt_id, start_step in tx.connection.execute(statement):
        limits[AttemptId(attempt_id)] = earliest
        if start_step is not None:
            earliest = start_step if earliest is None else min(earliest, start_step)
    return dict(reversed(limits.items()))
