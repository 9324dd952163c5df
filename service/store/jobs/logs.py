"""The end of each attempt's log, so that it can be read where the run folder is not mounted."""

from sqlalchemy import insert, select, update

from service.db.tables import attempt_logs
from service.domain.jobs import AttemptId
from service.store.transaction import Transaction

TAIL_BYTES = 64 * 1024


def set_log_tail(tx: Transaction, attempt_id: AttemptId, tail: str) -> None:
    """Replace the stored end of a log; NUL, which PostgreSQL cannot store, becomes a visible character."""
    tail = tail.replace("\x00", "\N{SYMBOL FOR NULL}")
    mine = attempt_logs.c.attempt_id == attempt_id
    if tx.connection.execute(update(attempt_logs).where(mine).values(tail=tail)).rowcount == 0:
        tx.connection.execute(insert(attempt_logs).values(attempt_id=attempt_id, tail=tail))


def get_log_tail(tx: Transaction, attempt_id: AttemptId) -> str:
    """The stored end of an attempt's log; empty before it has one."""
    statement = select(attempt_logs.c.tail).where(attempt_logs.c.attempt_id == attempt_id)
    return tx.connection.execute(statement).scalar() or ""
