"""The GPUs' history: of each minute, counted since 1970, the means of what was read of each GPU."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import ColumnElement, delete, func, select, text

from service.db.tables import gpu_minutes, gpus
from service.domain.gpus import HISTORY_DAYS, Reading
from service.store.transaction import Transaction

MINUTES_KEPT = HISTORY_DAYS * 24 * 60
# Each measure, and the column that counts its readings: a device may report one only now and then.
_COUNTED = {
    "utilization_percent": "utilization_readings",
    "memory_used_mib": "memory_readings",
    "temperature_celsius": "temperature_readings",
}


def _write_add() -> str:
    """The statement that takes one reading into the means: a mean moves by a part of its distance to it."""
    names = ["minute", "gpu_uuid", *_COUNTED, *_COUNTED.values()]
    means = [
        f"{mean} = coalesce(gpu_minutes.{mean} + (excluded.{mean} - gpu_minutes.{mean}) / "
        f"(gpu_minutes.{count} + 1), gpu_minutes.{mean}, excluded.{mean})"
        for mean, count in _COUNTED.items()
    ]
    counts = [f"{count} = gpu_minutes.{count} + excluded.{count}" for count in _COUNTED.values()]
    return (
        f"INSERT INTO gpu_minutes ({', '.join(names)}) VALUES (:{', :'.join(names)}) "
        f"ON CONFLICT (minute, gpu_uuid) DO UPDATE SET {', '.join([*means, *counts])}"
    )


_ADD = text(_write_add())


def minute_of(moment: datetime) -> int:
    """The minute that a moment lies in."""
    return int(moment.timestamp() // 60)


def start_of(minute: int) -> datetime:
    """The moment at which a minute starts."""
    return datetime.fromtimestamp(60 * minute, timezone.utc)


def add_readings(tx: Transaction, readings: Mapping[str, Reading]) -> None:
    """Take readings of registered GPUs, by UUID, into the means of this minute."""
    rows = [_to_row(minute_of(tx.now), uuid, reading) for uuid, reading in readings.items()]
    if rows:
        tx.connection.execute(_ADD, rows)


def _to_row(minute: int, uuid: str, reading: Reading) -> Mapping[str, object]:
    values = {mean: getattr(reading, mean) for mean in _COUNTED}
    counts = {count: int(values[mean] is not None) for mean, count in _COUNTED.items()}
    return {"minute": minute, "gpu_uuid": uuid, **values, **counts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The means of some minutes: the lowest, the highest, their sum, and of how many minutes."""

    lowest: float
    highest: float
    total: float
    minutes: int


def list_spreads(
    tx: Transaction, *, start: int, bucket_minutes: int, count: int
) -> Mapping[tuple[str, str], Mapping[int, Spread]]:
    """The spreads of all GPUs from a minute on, in buckets of as many minutes.

    By UUID and measure, as a reading names it, then by the bucket's number, without those in which nothing
    was read.
    """
    number = ((gpu_minutes.c.minute - start) // bucket_minutes).label("number")
    window = (gpu_minutes.c.minute >= start) & (gpu_minutes.c.minute < start + count * bucket_minutes)
    parts = [part for measure in _COUNTED for part in _spread(measure)]
    statement = select(gpu_minutes.c.gpu_uuid, number, *parts).where(window)
    found: dict[tuple[str, str], dict[int, Spread]] = defaultdict(dict)
    for uuid, bucket, *values in tx.connection.execute(statement.group_by(gpu_minutes.c.gpu_uuid, number)):
        for at, measure in enumerate(_COUNTED):
            lowest, highest, total, minutes = values[4 * at : 4 * at + 4]
            if minutes:
                spread = Spread(lowest=lowest, highest=highest, total=total, minutes=minutes)
                found[uuid, measure][bucket] = spread
    return found


def _spread(measure: str) -> Sequence[ColumnElement[float]]:
    column = gpu_minutes.c[measure]
    return [func.min(column), func.max(column), func.sum(column), func.count(column)]


def _is_old(tx: Transaction) -> ColumnElement[bool]:
    return gpu_minutes.c.minute < minute_of(tx.now) - MINUTES_KEPT


def count_old(tx: Transaction) -> int:
    """How many minutes, each GPU's counted, are older than HISTORY_DAYS."""
    count: int = tx.connection.execute(
        select(func.count()).select_from(gpu_minutes).where(_is_old(tx))
    ).scalar_one()
    return count


def remove_old(tx: Transaction) -> int:
    """Delete what `count_old` counts; how many."""
    return tx.connection.execute(delete(gpu_minutes).where(_is_old(tx))).rowcount


def remove_of_host(tx: Transaction, host_name: str) -> None:
    """Delete the history of a host's GPUs."""
    own = select(gpus.c.uuid).where(gpus.c.host_name == host_name)
    tx.connection.execute(delete(gpu_minutes).where(gpu_minutes.c.gpu_uuid.in_(own)))
