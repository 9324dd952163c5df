"""The outbox: messages are written with the decision that they report, and delivered after it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update

from service.db.tables import hooks as hook_rows
from service.db.tables import notifications
from service.domain.hooks import HookId, Notification, NotificationId
from service.domain.jobs import AttemptId, Job
from service.domain.states import JobState
from service.store.people import hooks
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

_COLUMNS = columns_of(notifications, Notification)
_WITH_HOOKS = notifications.join(hook_rows, notifications.c.hook_id == hook_rows.c.id)


def enqueue(tx: Transaction, job: Job, state: JobState, *, attempt_id: AttemptId | None, reason: str) -> None:
    """Put a message into the outbox for each of the owner's hooks that wants this occasion."""
    for hook in hooks.lock_hooks(tx, job.owner):
        occasion = hook.find_occasion(state)
        if occasion is not None:
            values = {"hook_id": hook.id, "job_id": job.id, "attempt_id": attempt_id, "occasion": occasion}
            words = {"job_state": state, "reason": reason, "error": ""}
            times = {"created_at": tx.now, "next_try_at": tx.now, "tries": 0}
            tx.connection.execute(insert(notifications).values(**values, **words, **times))


def list_owners_due(tx: Transaction) -> Sequence[str]:
    """The owners with messages due now, the longest due first."""
    due = select(hook_rows.c.owner).select_from(_WITH_HOOKS).where(notifications.c.next_try_at <= tx.now)
    oldest = (func.min(notifications.c.next_try_at), func.min(notifications.c.id))
    return tx.connection.execute(due.group_by(hook_rows.c.owner).order_by(*oldest)).scalars().all()


def take_due(tx: Transaction, owner: str, *, lease: timedelta) -> Notification | None:
    """Take a person's longest due message; nobody else takes it until the lease ends."""
    theirs = (hook_rows.c.owner == owner) & (notifications.c.next_try_at <= tx.now)
    statement = select(*_COLUMNS).select_from(_WITH_HOOKS).where(theirs)
    oldest = statement.order_by(notifications.c.next_try_at, notifications.c.id).limit(1)
    row = tx.connection.execute(oldest).mappings().first()
    note = to_value(Notification, row) if row else None
    return note if note and _take(tx, note, lease) else None


def _take(tx: Transaction, note: Notification, lease: timedelta) -> bool:
    seen = (notifications.c.id == note.id) & (notifications.c.tries == note.tries)
    still_due = seen & (notifications.c.next_try_at <= tx.now)
    values = {"tries": note.tries + 1, "next_try_at": tx.now + lease}
    return tx.connection.execute(update(notifications).where(still_due).values(values)).rowcount == 1


def set_delivered(tx: Transaction, note_id: NotificationId) -> None:
    """Record that a message was delivered."""
    values = {"delivered_at": tx.now, "next_try_at": None, "error": ""}
    tx.connection.execute(update(notifications).where(notifications.c.id == note_id).values(values))


def set_failed(tx: Transaction, note_id: NotificationId, *, error: str, next_try_at: datetime | None) -> None:
    """Record why a message could not be delivered, and when to retry; None: never."""
    values = {"error": error, "next_try_at": next_try_at}
    tx.connection.execute(update(notifications).where(notifications.c.id == note_id).values(values))


def find_latest(tx: Transaction, hook_id: HookId) -> Notification | None:
    """The newest message to a hook."""
    mine = notifications.c.hook_id == hook_id
    statement = select(*_COLUMNS).where(mine).order_by(notifications.c.id.desc()).limit(1)
    row = tx.connection.execute(statement).mappings().first()
    return to_value(Notification, row) if row else None
