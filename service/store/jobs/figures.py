"""Counts and sums over all jobs, made by the database: no job is built for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, select

from service.db.tables import UtcDateTime, attempts, jobs, leases
from service.domain.states import JobState
from service.store.exact_sums import sum_exactly, to_seconds
from service.store.transaction import Transaction


def count_jobs(tx: Transaction) -> Mapping[JobState, int]:
    """How many jobs are in each state that occurs."""
    statement = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return {state: int(count) for state, count in tx.connection.execute(statement)}


def count_queued(
    tx: Transaction, patterns: Sequence[tuple[str, str]], *, otherwise: str
) -> Mapping[str, int]:
    """How many queued jobs there are of each class: of the first whose LIKE pattern fits the reason."""
    fits = [(jobs.c.reason.like(pattern), literal(name)) for pattern, name in patterns]
    found = case(*fits, else_=literal(otherwise)).label("class")
    classes = select(found).where(jobs.c.state == JobState.QUEUED).subquery()
    statement = select(classes.c[0], func.count()).group_by(classes.c[0])
    return {name: int(count) for name, count in tx.connection.execute(statement)}


def sum_gpu_seconds(tx: Transaction) -> Mapping[str, float]:
    """For how many seconds each person's attempts have held a GPU, until now; two GPUs count twice."""
    until = func.coalesce(leases.c.released_at, literal(tx.now, UtcDateTime))
    statement = (
        select(jobs.c.owner, sum_exactly(_seconds(tx, leases.c.acquired_at, until)))
        .select_from(leases.join(attempts, attempts.c.id == leases.c.attempt_id).join(jobs))
        .group_by(jobs.c.owner)
    )
    return {owner: to_seconds(total) for owner, total in tx.connection.execute(statement)}


def sum_preemptions(tx: Transaction) -> Mapping[str, int]:
    """How often each person's jobs gave way to another job; people to whom it never happened are left out."""
    total = func.sum(jobs.c.preemptions)
    statement = select(jobs.c.owner, total).where(jobs.c.preemptions > 0).group_by(jobs.c.owner)
    return {owner: int(count) for owner, count in tx.connection.execute(statement)}


def measure_waits(tx: Transaction, bounds: Sequence[float]) -> Sequence[tuple[int, float]]:
    """Of jobs that have taken a step: how many waited up to each bound, above the one before, and the sum.

    The last pair is of those that waited longer. A job waits from its submission until its first step.
    """
    first = func.min(attempts.c.started_at, type_=UtcDateTime)
    seconds = _seconds(tx, jobs.c.submitted_at, first).label("seconds")
    started = select(seconds).join_from(jobs, attempts, attempts.c.job_id == jobs.c.id)
    waits = started.where(attempts.c.started_at.is_not(None)).group_by(jobs.c.id, jobs.c.submitted_at)
    once = waits.cte().prefix_with("MATERIALIZED")  # else its seconds are computed for each bound
    within = [(once.c.seconds <= bound, number) for number, bound in enumerate(bounds)]
    bucket = case(*within, else_=len(bounds))
    numbered = select(bucket.label("number"), once.c.seconds).subquery()
    total = func.count(), sum_exactly(numbered.c.seconds)
    statement = select(numbered.c.number, *total).group_by(numbered.c.number)
    found = {number: (count, to_seconds(total)) for number, count, total in tx.connection.execute(statement)}
    return [found.get(number, (0, 0.0)) for number in range(len(bounds) + 1)]


def sum_checkpointing(tx: Transaction) -> tuple[int, float, int]:
    """How often training stood still for a checkpoint, for how many seconds, and the inexact resumes.

    An inexact resume is an attempt that went on in another environment than its checkpoint was made in.
    """
    inexact = func.count(case((attempts.c.exact.is_(False), 1)))
    statement = select(func.sum(attempts.c.stalls), sum_exactly(attempts.c.stall_seconds), inexact)
    stalls, seconds, count = tx.connection.execute(statement).one()
    return int(stalls or 0), to_seconds(seconds), count


def _seconds(tx: Transaction, start: ColumnElement[datetime], end: ColumnElement[datetime]) -> Any:
    """The seconds between two moments; 0 where the clock was set back between them."""
    if tx.connection.dialect.name == "sqlite":
        seconds: Any = (func.julianday(end) - func.julianday(start)) * 86400.0
        return func.max(seconds, 0.0)
    return func.greatest(func.date_part("epoch", end - start), 0.0)
