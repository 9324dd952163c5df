"""Readings: what the workers last measured on their GPUs; of older ones only the means are kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import insert, select, update

from service.db.tables import gpu_readings
from service.domain.gpus import Outsider, Reading
from service.domain.stored import read_stored
from service.store.fleet import gpu_minutes
from service.store.rows import columns_of
from service.store.transaction import Transaction

_COLUMNS = columns_of(gpu_readings, Reading)


def set_readings(tx: Transaction, readings: Mapping[str, Reading]) -> None:
    """Replace the readings of registered GPUs, by UUID, and take them into the history."""
    for uuid, reading in readings.items():
        values = {**asdict(reading), "read_at": tx.now}
        values["outsiders"] = json.dumps([asdict(outsider) for outsider in reading.outsiders])
        mine = gpu_readings.c.gpu_uuid == uuid
        if tx.connection.execute(update(gpu_readings).where(mine).values(values)).rowcount == 0:
            tx.connection.execute(insert(gpu_readings).values(gpu_uuid=uuid, **values))
    gpu_minutes.add_readings(tx, readings)


def list_readings(tx: Transaction) -> Mapping[str, tuple[datetime, Reading]]:
    """The time and value of each GPU's last reading, by UUID."""
    statement = select(gpu_readings.c.gpu_uuid, gpu_readings.c.read_at, *_COLUMNS)
    found = {}
    for row in tx.connection.execute(statement).mappings():
        values = dict(row)
        uuid, read_at = values.pop("gpu_uuid"), values.pop("read_at")
        values["outsiders"] = _load(values["outsiders"])
        found[uuid] = (read_at, Reading(**values))
    return found


def list_outsiders(tx: Transaction) -> Mapping[str, tuple[Outsider, ...]]:
    """The outsiders on each GPU, by UUID; GPUs without outsiders are left out."""
    used = select(gpu_readings.c.gpu_uuid, gpu_readings.c.outsiders).where(gpu_readings.c.outsiders != "[]")
    return {uuid: _load(text) for uuid, text in tx.connection.execute(used)}


def _load(text: str) -> tuple[Outsider, ...]:
    return tuple(read_stored(Outsider, one) for one in json.loads(text))
