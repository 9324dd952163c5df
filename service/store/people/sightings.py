"""Who came in through the API, with which user number, and when last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from service.db.tables import sightings
from service.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a person was last seen, None: never; `uid` is None while they came by a credential alone."""

    uid: int | None
    seen_at: datetime | None


def set_seen(tx: Transaction, name: str, *, uid: int | None) -> None:
    """Record that a person was seen just now."""
    values = {"seen_at": tx.now} if uid is None else {"seen_at": tx.now, "uid": uid}
    mine = sightings.c.name == name
    if tx.connection.execute(update(sightings).where(mine).values(values)).rowcount == 0:
        tx.connection.execute(insert(sightings).values(name=name, uid=uid, seen_at=tx.now))


def list_sightings(tx: Transaction) -> Mapping[str, Sighting]:
    """Everybody who was seen, by name."""
    columns = (sightings.c.name, sightings.c.uid, sightings.c.seen_at)
    return {name: Sighting(uid=uid, seen_at=at) for name, uid, at in tx.connection.execute(select(*columns))}
