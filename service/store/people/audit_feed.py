"""Reads the audit in order as it grows, without leaving out an entry that is committed late.

PostgreSQL numbers an entry before its transaction commits, so a smaller number may appear after a larger
one. Entries up to a number are settled when no transaction is left that was running when that number was
seen; those of the server's other databases do not count. SQLite has one writer, so there all that can be seen
is settled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text

from service.db.tables import audit_entries
from service.domain.audit import AuditEntry
from service.domain.jobs import JobId
from service.store.people.audit import entry_columns, newest_entry_id, to_entry
from service.store.transaction import Transaction

_RUNNING = text(
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, "
    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
)
# Left out are only those that are surely of another database: where a transaction has just ended, or is
# prepared, nobody knows of which it was.
_RUNNING_HERE = text(
    "SELECT min(running::text::bigint) FROM pg_snapshot_xip(pg_current_snapshot()) AS running "
    "WHERE running::xid NOT IN (SELECT backend_xid FROM pg_stat_activity "
    "WHERE backend_xid IS NOT NULL AND datname <> current_database())"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The newest number at some moment, and a bound of the transactions that were running then."""

    newest: int
    first_later: int


class SettledEntries:
    """How far the audit is settled; for one thread."""

    def __init__(self) -> None:
        self._settled = 0
        self._pending: _Seen | None = None

    def find_settled(self, tx: Transaction) -> tuple[int, bool]:
        """The newest settled number, and whether there are entries that are not settled yet."""
        newest = newest_entry_id(tx)
        if tx.connection.dialect.name == "sqlite":
            return newest, False
        oldest_running, first_later = tx.connection.execute(_RUNNING).one()
        if oldest_running < first_later:
            oldest_running = tx.connection.execute(_RUNNING_HERE).scalar() or first_later
        if self._pending and oldest_running >= self._pending.first_later:
            self._settled, self._pending = self._pending.newest, None
        if oldest_running >= first_later:  # nobody is writing
            self._settled, self._pending = newest, None
        elif self._pending is None and newest > self._settled:
            self._pending = _Seen(newest=newest, first_later=first_later)
        return self._settled, newest > self._settled


def list_jobs_of_entries(tx: Transaction, *, after: int) -> Mapping[int, JobId]:
    """The job that each entry with a number above `after` is about, if it is about one, by its number."""
    wanted = (audit_entries.c.id > after) & audit_entries.c.job_id.is_not(None)
    found = tx.connection.execute(select(audit_entries.c.id, audit_entries.c.job_id).where(wanted))
    return {number: JobId(job_id) for number, job_id in found}


def list_entries_between(
    tx: Transaction, *, after: int, up_to: int, limit: int, job_id: JobId | None = None
) -> Sequence[AuditEntry]:
    """Entries with numbers from `after` (not included) to `up_to`, oldest first."""
    some = (audit_entries.c.id > after) & (audit_entries.c.id <= up_to)
    if job_id is not None:
        some &= audit_entries.c.job_id == job_id
    statement = select(*entry_columns).where(some).order_by(audit_entries.c.id).limit(limit)
    return [to_entry(row) for row in tx.connection.execute(statement).mappings()]
