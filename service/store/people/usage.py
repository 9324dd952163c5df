"""Reads for how long attempts held their GPUs."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, func, select

from service.db.tables import attempts, audit_entries, jobs, leases
from service.domain.states import Action
from service.domain.stored import load_object
from service.domain.usage import Stay
from service.store.transaction import Transaction

_REQUESTS = (Action.CANCEL_REQUESTED, Action.PAUSE_REQUESTED, Action.PREEMPT_REQUESTED)


def list_stays(tx: Transaction, *, owner: str | None = None, since: datetime | None = None) -> Sequence[Stay]:
    """The stays of one person's attempts, or of all, without those that ended before `since`."""
    statement = _STAYS
    if owner is not None:
        statement = statement.where(jobs.c.owner == owner)
    if since is not None:
        statement = statement.where(leases.c.released_at.is_(None) | (leases.c.released_at > since))
    return [_to_stay(row) for row in tx.connection.execute(statement).mappings()]


def _to_stay(row: RowMapping) -> Stay:
    values = dict(row)
    del values["id"]
    progress = values.pop("progress")
    return Stay(**values, last_step=load_object(progress).get("step"))


_later = attempts.alias("later")
_REDONE_FROM = (
    select(_later.c.start_step)
    .where(
        _later.c.job_id == attempts.c.job_id,
        _later.c.number > attempts.c.number,
        _later.c.start_step.is_not(None),
    )
    .order_by(_later.c.number)
    .limit(1)
    .scalar_subquery()
)
_ASKED_AT = (
    select(func.min(audit_entries.c.at))
    .where(
        audit_entries.c.job_id == attempts.c.job_id,
        audit_entries.c.attempt_id == attempts.c.id,
        audit_entries.c.action.in_(_REQUESTS),
    )
    .scalar_subquery()
)
_STAYS = (
    select(
        attempts.c.id,
        jobs.c.owner,
        jobs.c.project,
        attempts.c.outcome,
        func.count(leases.c.id).label("gpus"),
        func.min(leases.c.acquired_at).label("leased_at"),
        attempts.c.started_at,
        _ASKED_AT.label("asked_at"),
        func.max(leases.c.released_at).label("ended_at"),
        attempts.c.start_step.label("first_step"),
        attempts.c.progress,
        _REDONE_FROM.label("redone_from"),
    )
    .select_from(attempts)
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .join(leases, leases.c.attempt_id == attempts.c.id)
    .group_by(attempts.c.id, jobs.c.id)
)
