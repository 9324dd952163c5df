"""Leases: which attempt holds which GPU; a unique index allows one live lease a GPU."""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select, update

from service.db.tables import attempts, gpus, leases
from service.domain.gpus import Gpu
from service.domain.jobs import AttemptId
from service.domain.states import AttemptState
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction


def acquire(tx: Transaction, attempt_id: AttemptId, gpu_uuids: Sequence[str]) -> None:
    """Lease GPUs to an attempt; the database refuses a GPU that has a live lease."""
    rows = [{"attempt_id": attempt_id, "gpu_uuid": uuid, "acquired_at": tx.now} for uuid in gpu_uuids]
    tx.connection.execute(insert(leases), rows)


def release(tx: Transaction, attempt_id: AttemptId) -> None:
    """Give an attempt's GPUs back."""
    live = (leases.c.attempt_id == attempt_id) & leases.c.released_at.is_(None)
    tx.connection.execute(update(leases).where(live).values(released_at=tx.now))


def list_leased_gpus(tx: Transaction, attempt_id: AttemptId) -> Sequence[Gpu]:
    """The GPUs that an attempt holds or held, in the order of their numbers."""
    statement = (
        select(*columns_of(gpus, Gpu))
        .join(leases, leases.c.gpu_uuid == gpus.c.uuid)
        .where(leases.c.attempt_id == attempt_id)
        .order_by(gpus.c.number)
    )
    return [to_value(Gpu, row) for row in tx.connection.execute(statement).mappings()]


def list_stale(tx: Transaction) -> Mapping[str, AttemptId]:
    """GPUs, by UUID, whose lease is held by an attempt that has ended; there should be none."""
    ended = leases.c.released_at.is_(None) & (attempts.c.state == AttemptState.ENDED)
    statement = select(leases.c.gpu_uuid, leases.c.attempt_id).join(attempts).where(ended)
    return {uuid: AttemptId(attempt_id) for uuid, attempt_id in tx.connection.execute(statement)}


def list_holders(tx: Transaction) -> Mapping[str, AttemptId]:
    """The attempt that holds each leased GPU, by UUID."""
    statement = select(leases.c.gpu_uuid, leases.c.attempt_id).where(leases.c.released_at.is_(None))
    return {uuid: AttemptId(attempt_id) for uuid, attempt_id in tx.connection.execute(statement)}
