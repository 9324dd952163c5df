"""Hooks: whom to notify of which ends and preemptions."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select

from service.db.tables import hooks, notifications
from service.domain.hooks import Hook, HookId
from service.domain.states import Channel, Occasion
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

_COLUMNS = columns_of(hooks, Hook)


def add_hook(
    tx: Transaction, owner: str, *, channel: Channel, address: str, occasions: Collection[Occasion]
) -> HookId:
    """Store a hook and return its number."""
    values = {"owner": owner, "channel": channel, "address": address}
    flags = {f"on_{occasion.value}": occasion in occasions for occasion in Occasion}
    statement = insert(hooks).values(**values, **flags).returning(hooks.c.id)
    return HookId(tx.connection.execute(statement).scalar_one())


def find_hook(tx: Transaction, hook_id: HookId) -> Hook | None:
    """The hook with this number, or None."""
    row = tx.connection.execute(select(*_COLUMNS).where(hooks.c.id == hook_id)).mappings().first()
    return to_value(Hook, row) if row else None


def list_hooks(tx: Transaction, owner: str) -> Sequence[Hook]:
    """A person's hooks, oldest first."""
    statement = select(*_COLUMNS).where(hooks.c.owner == owner).order_by(hooks.c.id)
    return [to_value(Hook, row) for row in tx.connection.execute(statement).mappings()]


def lock_hooks(tx: Transaction, owner: str) -> Sequence[Hook]:
    """A person's hooks, locked until the end of this transaction."""
    statement = select(*_COLUMNS).where(hooks.c.owner == owner).order_by(hooks.c.id)
    locked = statement.with_for_update(read=True, key_share=True)
    return [to_value(Hook, row) for row in tx.connection.execute(locked).mappings()]


def remove_hook(tx: Transaction, hook_id: HookId) -> None:
    """Remove a hook and its undelivered messages."""
    tx.connection.execute(delete(notifications).where(notifications.c.hook_id == hook_id))
    tx.connection.execute(delete(hooks).where(hooks.c.id == hook_id))
