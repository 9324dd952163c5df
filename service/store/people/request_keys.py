"""Acts that a client may send again: each has a key, is done once, and is answered with the first result."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, select, text, update

from service.db.tables import UtcDateTime, request_keys
from service.errors import KeyReused
from service.store.transaction import Transaction

KEPT = timedelta(days=1)  # nobody sends a request again for so long
_INSERT = text(
    "INSERT INTO request_keys (owner, key, request_digest, created_at) "
    "VALUES (:owner, :key, :digest, :now) ON CONFLICT DO NOTHING"
).bindparams(bindparam("now", type_=UtcDateTime))
# Made once: making a statement takes as long as running it.
_FIND = select(request_keys.c.request_digest, request_keys.c.answer).where(
    request_keys.c.owner == bindparam("person"), request_keys.c.key == bindparam("sent")
)
_SET_ANSWER = (
    update(request_keys)
    .where(request_keys.c.owner == bindparam("person"), request_keys.c.key == bindparam("sent"))
    .values(answer=bindparam("said"))
)


def find_answer(tx: Transaction, owner: str, key: str, *, digest: str) -> str | None:
    """What was answered to a request with this key; None where nobody has sent it.

    Raises:
        KeyReused: it was taken for another request.
    """
    row = tx.connection.execute(_FIND, {"person": owner, "sent": key}).first()
    if row is None:
        return None
    if row.request_digest != digest:
        raise KeyReused(f"The Idempotency-Key {key!r} was sent with another request. Each needs its own")
    assert row.answer is not None, "a key is committed with its answer"
    return str(row.answer)


def take_key(tx: Transaction, owner: str, key: str, *, digest: str) -> str | None:
    """Take a key for a request; the answer of the same request if it was done before.

    Whoever comes with the same key at the same time waits until this transaction ends.

    Raises:
        KeyReused: it was taken for another request.
    """
    values = {"owner": owner, "key": key, "digest": digest}
    if tx.connection.execute(_INSERT, {**values, "now": tx.now}).rowcount == 1:
        return None
    return find_answer(tx, owner, key, digest=digest)


def set_answer(tx: Transaction, owner: str, key: str, answer: str) -> None:
    """Store what was answered."""
    tx.connection.execute(_SET_ANSWER, {"person": owner, "sent": key, "said": answer})


def forget_keys(tx: Transaction, *, before: datetime) -> int:
    """Forget the keys of requests that nobody will send again; how many."""
    old = request_keys.c.created_at < before
    return tx.connection.execute(delete(request_keys).where(old)).rowcount
