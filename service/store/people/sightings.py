"""Who came in through the API, with which user number, and when last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, text

from service.db.tables import UtcDateTime, sightings
from service.store.transaction import Transaction

# One statement, because somebody may come in for the first time by several ways at once.
_SEE = text(
    "INSERT INTO sightings (name, uid, seen_at) VALUES (:name, :uid, :now) "
    "ON CONFLICT (name) DO UPDATE SET uid = coalesce(excluded.uid, sightings.uid), seen_at = excluded.seen_at"
).bindparams(bindparam("now", type_=UtcDateTime))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a person was last seen, None: never; `uid` is None while they came by a credential alone."""

    uid: int | None
    seen_at: datetime | None


def set_seen(tx: Transaction, name: str, *, uid: int | None) -> None:
    """Record that a person was seen just now."""
    tx.connection.execute(_SEE, {"name": name, "uid": uid, "now": tx.now})


def list_sightings(tx: Transaction) -> Mapping[str, Sighting]:
    """Everybody who was seen, by name."""
    columns = (sightings.c.name, sightings.c.uid, sightings.c.seen_at)
    return {name: Sighting(uid=uid, seen_at=at) for name, uid, at in tx.connection.execute(select(*columns))}
