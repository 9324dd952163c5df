"""The orders of a list of jobs in SQL, and where a page goes on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from cnnctl.views.requests import JobSort
from service.db.tables import jobs
from service.domain.jobs import JobId
from service.domain.states import Priority
from service.store.transaction import Transaction

NEVER = datetime(9999, 1, 1, tzinfo=timezone.utc)  # what has no guess yet starts last
NOT_YET = datetime(1970, 1, 1, tzinfo=timezone.utc)  # what has not ended is listed last

# What jobs are sorted by, and whether the greatest comes first; those with equal values by their number.
_KEYS: Mapping[JobSort, tuple[ColumnElement[Any], bool]] = {
    "newest": (jobs.c.id, True),
    "oldest": (jobs.c.id, False),
    "ended": (func.coalesce(jobs.c.ended_at, NOT_YET, type_=jobs.c.ended_at.type), True),
    "priority": (
        case({one: rank for rank, one in enumerate(Priority)}, value=jobs.c.priority, else_=0),
        True,
    ),
    "owner": (jobs.c.owner, False),
    "network": (jobs.c.architecture, False),
    "dataset": (jobs.c.dataset, False),
    "state": (jobs.c.state, False),
    "start": (func.coalesce(jobs.c.estimated_start_at, NEVER, type_=jobs.c.ended_at.type), False),
}


def list_orders(sort: JobSort) -> Sequence[ColumnElement[Any]]:
    """What the rows are ordered by."""
    value, descending = _KEYS[sort]
    columns = [jobs.c.id] if value is jobs.c.id else [value, jobs.c.id]
    return [column.desc() if descending else column.asc() for column in columns]


def come_after(tx: Transaction, before: JobId, sort: JobSort) -> ColumnElement[bool]:
    """That a job comes after the last one of the page before; after an unknown one comes none."""
    value, descending = _KEYS[sort]
    number = jobs.c.id < before if descending else jobs.c.id > before
    if value is jobs.c.id:
        return number
    last = select(value.label("last")).where(jobs.c.id == before).scalar_subquery()
    beyond = value < last if descending else value > last
    return or_(beyond, and_(value == last, number))
