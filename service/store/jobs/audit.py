"""The audit: who did what to a job, and when. Entries are added and never changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, insert, select

from service.db.tables import job_events
from service.domain.jobs import AttemptId, AuditEntry, JobId
from service.domain.states import Action
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

CHANNEL = "cnnctl_audit"  # on which PostgreSQL tells of each commit that adds lines

_INSERT = insert(job_events)  # made once: making it takes longer than running it
# Costs no round trip more. PostgreSQL sends the same notification once a transaction, and with its commit.
_INSERT_AND_NOTIFY = _INSERT.returning(func.pg_notify(CHANNEL, ""))


def add_entry(
    tx: Transaction,
    job_id: JobId,
    action: Action,
    *,
    actor: str,
    attempt_id: AttemptId | None = None,
    detail: str = "",
) -> None:
    """Add an entry to a job's audit."""
    values = {"job_id": job_id, "attempt_id": attempt_id, "actor": actor, "action": action, "detail": detail}
    on_server = tx.connection.dialect.name == "postgresql"
    tx.connection.execute(_INSERT_AND_NOTIFY if on_server else _INSERT, {"at": tx.now, **values})


def list_entries(tx: Transaction, job_id: JobId) -> Sequence[AuditEntry]:
    """A job's audit entries, oldest first."""
    statement = (
        select(*columns_of(job_events, AuditEntry))
        .where(job_events.c.job_id == job_id)
        .order_by(job_events.c.id)
    )
    return [to_value(AuditEntry, row) for row in tx.connection.execute(statement).mappings()]


def list_moments(tx: Transaction, action: Action, *, since: datetime) -> Mapping[JobId, Sequence[datetime]]:
    """When this action happened to each job since then, oldest first."""
    mine = (job_events.c.action == action) & (job_events.c.at >= since)
    statement = select(job_events.c.job_id, job_events.c.at).where(mine).order_by(job_events.c.at)
    found: dict[JobId, list[datetime]] = defaultdict(list)
    for job_id, at in tx.connection.execute(statement):
        found[JobId(job_id)].append(at)
    return found


def newest_entry_id(tx: Transaction) -> int:
    """A number that grows whenever anything happens to any job; 0 before the first entry."""
    return tx.connection.execute(select(func.max(job_events.c.id))).scalar() or 0
