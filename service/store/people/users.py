"""Users: what was granted to people; a person without a row has the defaults."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, insert, select, text, update

from service.db.tables import jobs, users
from service.domain.people import User
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

QUOTA_LOCK = 7215  # any number that no other two-number lock uses
_COLUMNS = columns_of(users, User)
_LOCK = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:name))")
_GET = select(*_COLUMNS).where(users.c.name == bindparam("wanted"))


def get_user(tx: Transaction, name: str) -> User:
    """What a person may do."""
    row = tx.connection.execute(_GET, {"wanted": name}).mappings().first()
    return to_value(User, row) if row else User(name=name)


def lock_user(tx: Transaction, name: str) -> None:
    """Lock a person's quota until the end of this transaction.

    Not every person has a row to lock. SQLite's write transaction is such a lock already.
    """
    if tx.connection.dialect.name != "sqlite":
        tx.connection.execute(_LOCK, {"kind": QUOTA_LOCK, "name": name})


def list_granted(tx: Transaction) -> Sequence[User]:
    """All people who were granted something."""
    return [to_value(User, row) for row in tx.connection.execute(select(*_COLUMNS)).mappings()]


def list_users(tx: Transaction) -> Sequence[User]:
    """All people who were granted something or have submitted a job, by name."""
    granted = {user.name: user for user in list_granted(tx)}
    owners = tx.connection.execute(select(jobs.c.owner).distinct()).scalars()
    return [granted.get(name, User(name=name)) for name in sorted({*granted, *owners})]


def set_user(tx: Transaction, user: User) -> None:
    """Store what a person may do."""
    values = asdict(user)
    mine = users.c.name == user.name
    if tx.connection.execute(update(users).where(mine).values(values)).rowcount == 0:
        tx.connection.execute(insert(users).values(values))
