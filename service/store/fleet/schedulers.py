"""Running schedulers, and what they know about the broker."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, text, update

from service.db.tables import schedulers
from service.store.exact_sums import sum_exactly, to_seconds
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

TICK_LOCK = 0x636E6E64  # any number that this program alone uses; "cnnd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """A scheduler process."""

    name: str
    pid: int
    heartbeat_at: datetime
    broker_error: str
    """Why it cannot send messages; empty while it can."""


Turn = tuple[str, datetime, int]
"""A scheduler's name, its last heartbeat, and how many ticks it has timed."""


def list_turns(tx: Transaction) -> frozenset[Turn]:
    """The last turn of each scheduler: any other turn changes what this returns."""
    statement = select(schedulers.c.name, schedulers.c.heartbeat_at, schedulers.c.ticks)
    return frozenset((name, at, ticks) for name, at, ticks in tx.connection.execute(statement))


def lock_tick(tx: Transaction) -> bool:
    """Let one scheduler at a time decide; False while another scheduler does.

    SQLite's write transaction is such a lock already.
    """
    if tx.connection.dialect.name == "sqlite":
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:lock)")
    return bool(tx.connection.execute(lock, {"lock": TICK_LOCK}).scalar())


def heartbeat(
    tx: Transaction, name: str, *, pid: int, broker_error: str, tick_seconds: float | None = None
) -> None:
    """Record that a scheduler is alive and whether it reaches the broker.

    `tick_seconds` is how long its tick before this one took; None if there was none, or it failed.
    """
    values = {"pid": pid, "heartbeat_at": tx.now, "broker_error": broker_error}
    ticks, seconds = (0, 0.0) if tick_seconds is None else (1, tick_seconds)
    more = {"ticks": schedulers.c.ticks + ticks, "tick_seconds": schedulers.c.tick_seconds + seconds}
    mine = update(schedulers).where(schedulers.c.name == name)
    if tx.connection.execute(mine.values({**values, **more})).rowcount == 0:
        statement = insert(schedulers).values(name=name, ticks=ticks, tick_seconds=seconds, **values)
        tx.connection.execute(statement)


def sum_ticks(tx: Transaction) -> tuple[int, float]:
    """How many ticks there were since ever, and the seconds that they took together."""
    statement = select(func.sum(schedulers.c.ticks), sum_exactly(schedulers.c.tick_seconds))
    count, seconds = tx.connection.execute(statement).one()
    return int(count or 0), to_seconds(seconds)


def find_latest(tx: Transaction) -> Scheduler | None:
    """The scheduler with the newest heartbeat, or None before the first one."""
    statement = select(*columns_of(schedulers, Scheduler)).order_by(schedulers.c.heartbeat_at.desc()).limit(1)
    row = tx.connection.execute(statement).mappings().first()
    return to_value(Scheduler, row) if row else None
