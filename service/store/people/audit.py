"""The audit: who did what, and when. Entries are added and never changed."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, select

from service.db.tables import audit_entries
from service.domain.audit import AuditEntry
from service.domain.jobs import AttemptId, JobId
from service.domain.people import Actor
from service.domain.states import Action, Subject
from service.domain.stored import load_object
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

CHANNEL = "cnnctl_audit"  # on which PostgreSQL tells of each commit that adds entries

entry_columns = columns_of(audit_entries, AuditEntry)
_INSERT = insert(audit_entries)  # made once: making it takes longer than running it
# Costs no round trip more. PostgreSQL sends the same notification once a transaction, and with its commit.
_INSERT_AND_NOTIFY = _INSERT.returning(func.pg_notify(CHANNEL, ""))


def add_entry(
    tx: Transaction,
    job_id: JobId,
    action: Action,
    *,
    actor: Actor,
    attempt_id: AttemptId | None = None,
    detail: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry about a job."""
    about = {"subject": Subject.JOB, "subject_name": "", "job_id": job_id, "attempt_id": attempt_id}
    _add(tx, action, [about], actor=actor, detail=detail, before=before, after=after)


def add_entries(
    tx: Transaction, job_ids: Collection[JobId], action: Action, *, actor: Actor, detail: str = ""
) -> None:
    """Add the same entry about each of many jobs."""
    about = [
        {"subject": Subject.JOB, "subject_name": "", "job_id": job_id, "attempt_id": None}
        for job_id in job_ids
    ]
    _add(tx, action, about, actor=actor, detail=detail, before=None, after=None)


def add_entry_about(
    tx: Transaction,
    subject: Subject,
    name: str,
    action: Action,
    *,
    actor: Actor,
    detail: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry about something else than a job."""
    about = {"subject": subject, "subject_name": name, "job_id": None, "attempt_id": None}
    _add(tx, action, [about], actor=actor, detail=detail, before=before, after=after)


def _add(
    tx: Transaction,
    action: Action,
    about: Sequence[Mapping[str, object]],
    *,
    actor: Actor,
    detail: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    who = {"actor": actor.name, "via": actor.via, "origin": actor.origin}
    change = {"before": _to_text(before), "after": _to_text(after)}
    on_server = tx.connection.dialect.name == "postgresql"
    rows = [{"at": tx.now, "action": action, "detail": detail, **who, **one, **change} for one in about]
    if rows:
        tx.connection.execute(_INSERT_AND_NOTIFY if on_server else _INSERT, rows)


def list_entries(tx: Transaction, job_id: JobId) -> Sequence[AuditEntry]:
    """A job's audit entries, oldest first."""
    statement = select(*entry_columns).where(audit_entries.c.job_id == job_id).order_by(audit_entries.c.id)
    return [to_entry(row) for row in tx.connection.execute(statement).mappings()]


def list_added(tx: Transaction, subject: Subject, names: Sequence[str]) -> Mapping[str, AuditEntry]:
    """How each of these was added last, by name; what is older than the audit is left out."""
    mine = (audit_entries.c.subject == subject) & (audit_entries.c.action == Action.ADDED)
    mine &= audit_entries.c.subject_name.in_(names)
    statement = select(*entry_columns).where(mine).order_by(audit_entries.c.id)
    found = [to_entry(row) for row in tx.connection.execute(statement).mappings()] if names else []
    return {entry.subject_name: entry for entry in found}


def list_newest(
    tx: Transaction,
    *,
    since: datetime | None,
    actor: str | None,
    subject: Subject | None,
    before: int | None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Entries about anything, newest first; those with a number below `before` where it is given."""
    statement = select(*entry_columns).order_by(audit_entries.c.id.desc()).limit(limit)
    if since is not None:
        statement = statement.where(audit_entries.c.at >= since)
    if actor is not None:
        statement = statement.where(audit_entries.c.actor == actor)
    if subject is not None:
        statement = statement.where(audit_entries.c.subject == subject)
    if before is not None:
        statement = statement.where(audit_entries.c.id < before)
    return [to_entry(row) for row in tx.connection.execute(statement).mappings()]


def list_moments(tx: Transaction, action: Action, *, since: datetime) -> Mapping[JobId, Sequence[datetime]]:
    """When this action happened to each job since then, oldest first."""
    mine = (audit_entries.c.action == action) & (audit_entries.c.at >= since)
    mine &= audit_entries.c.subject == Subject.JOB
    statement = select(audit_entries.c.job_id, audit_entries.c.at).where(mine).order_by(audit_entries.c.at)
    found: dict[JobId, list[datetime]] = defaultdict(list)
    for job_id, at in tx.connection.execute(statement):
        found[JobId(job_id)].append(at)
    return found


def newest_entry_id(tx: Transaction) -> int:
    """A number that grows whenever anybody does anything; 0 before the first entry."""
    return tx.connection.execute(select(func.max(audit_entries.c.id))).scalar() or 0


def to_entry(row: RowMapping) -> AuditEntry:
    return to_value(AuditEntry, row, before=_from_text(row["before"]), after=_from_text(row["after"]))


def _to_text(fields: Mapping[str, Any] | None) -> str | None:
    return None if fields is None else json.dumps(fields, sort_keys=True)


def _from_text(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else load_object(text)
