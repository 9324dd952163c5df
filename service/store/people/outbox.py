"""The outbox: messages written with the decision that they tell of, and delivered after it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update

from service.db.tables import notifications
from service.domain.hooks import HookId, Notification, NotificationId
from service.domain.jobs import AttemptId, Job
from service.domain.states import JobState
from service.store.people import hooks
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

MOST_AT_ONCE = 20
_COLUMNS = columns_of(notifications, Notification)


def tell(tx: Transaction, job: Job, state: JobState, *, attempt_id: AttemptId | None, reason: str) -> None:
    """Put a message to each of the owner's hooks that wants to know into the outbox."""
    for hook in hooks.lock_hooks(tx, job.owner):
        occasion = hook.find_occasion(state)
        if occasion is not None:
            values = {"hook_id": hook.id, "job_id": job.id, "attempt_id": attempt_id, "occasion": occasion}
            words = {"job_state": state, "reason": reason, "error": ""}
            times = {"created_at": tx.now, "next_try_at": tx.now, "tries": 0}
            tx.connection.execute(insert(notifications).values(**values, **words, **times))


def count_due(tx: Transaction) -> int:
    """How many messages want to be delivered now."""
    statement = select(func.count()).where(notifications.c.next_try_at <= tx.now)
    return tx.connection.execute(statement).scalar_one()


def take_due(tx: Transaction, *, lease: timedelta) -> Sequence[Notification]:
    """Take messages that are due, the longest due first; until the lease is over nobody else takes them."""
    due = notifications.c.next_try_at <= tx.now
    statement = select(*_COLUMNS).where(due).order_by(notifications.c.next_try_at, notifications.c.id)
    rows = tx.connection.execute(statement.limit(MOST_AT_ONCE)).mappings().all()
    return [note for note in (to_value(Notification, row) for row in rows) if _take(tx, note, lease)]


def _take(tx: Transaction, note: Notification, lease: timedelta) -> bool:
    seen = (notifications.c.id == note.id) & (notifications.c.tries == note.tries)
    still_due = seen & (notifications.c.next_try_at <= tx.now)
    values = {"tries": note.tries + 1, "next_try_at": tx.now + lease}
    return tx.connection.execute(update(notifications).where(still_due).values(values)).rowcount == 1


def set_delivered(tx: Transaction, note_id: NotificationId) -> None:
    """Remember that a message was delivered."""
    values = {"delivered_at": tx.now, "next_try_at": None, "error": ""}
    tx.connection.execute(update(notifications).where(notifications.c.id == note_id).values(values))


def set_failed(tx: Transaction, note_id: NotificationId, *, error: str, next_try_at: datetime | None) -> None:
    """Remember why a message could not be delivered, and when to try again; None: never."""
    # PostgreSQL stores no NUL, and a server may answer with anything.
    values = {"error": error.replace("\0", "�"), "next_try_at": next_try_at}
    tx.connection.execute(update(notifications).where(notifications.c.id == note_id).values(values))


def find_latest(tx: Transaction, hook_id: HookId) -> Notification | None:
    """The newest message to a hook."""
    mine = notifications.c.hook_id == hook_id
    statement = select(*_COLUMNS).where(mine).order_by(notifications.c.id.desc()).limit(1)
    row = tx.connection.execute(statement).mappings().first()
    return to_value(Notification, row) if row else None
