"""Leases: which attempt holds which GPU; a unique index allows one live lease per GPU."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from service.db.tables import attempts, gpus, jobs, leases
from service.domain.gpus import Gpu
from service.domain.jobs import AttemptId, JobId
from service.domain.states import AttemptState, JobState
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


def list_leased_gpus(
    tx: Transaction, attempt_id: AttemptId, *, host_name: str | None = None
) -> Sequence[Gpu]:
    """The GPUs that an attempt holds or held, on one host or on all, by number."""
    statement = (
        select(*columns_of(gpus, Gpu, leave_out={"disk_full"}))
        .join(leases, leases.c.gpu_uuid == gpus.c.uuid)
        .where(leases.c.attempt_id == attempt_id)
        .order_by(gpus.c.host_name, gpus.c.number)
    )
    if host_name is not None:
        statement = statement.where(gpus.c.host_name == host_name)
    return [to_value(Gpu, row) for row in tx.connection.execute(statement).mappings()]


def list_stale(tx: Transaction) -> Mapping[str, AttemptId]:
    """The UUIDs of GPUs whose lease belongs to an ended attempt; there should be none."""
    ended = leases.c.released_at.is_(None) & (attempts.c.state == AttemptState.ENDED)
    statement = select(leases.c.gpu_uuid, leases.c.attempt_id).join(attempts).where(ended)
    return {uuid: AttemptId(attempt_id) for uuid, attempt_id in tx.connection.execute(statement)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A GPU that a job holds or held."""

    job_id: JobId
    owner: str
    gpus: int
    """How many GPUs the job asks for."""
    gpu_uuid: str
    acquired_at: datetime
    released_at: datetime | None
    """When the job gave the GPU back; None while it holds it."""


def count_gpu_seconds(holding: Holding, *, now: datetime) -> float:
    """For how many seconds a GPU was held, or has been held until now."""
    return max(0.0, ((holding.released_at or now) - holding.acquired_at).total_seconds())


def list_holdings(
    tx: Transaction,
    *,
    states: Collection[JobState] = tuple(JobState),
    since: datetime | None = None,
    ended_since: datetime | None = None,
) -> Sequence[Holding]:
    """All GPUs that jobs in these states have held.

    Leaves out GPUs that were given back before `since`, and GPUs of jobs that ended before `ended_since`.
    """
    columns = (leases.c.gpu_uuid, leases.c.acquired_at, leases.c.released_at)
    statement = (
        select(attempts.c.job_id, jobs.c.owner, jobs.c.gpus, *columns)
        .join(attempts, attempts.c.id == leases.c.attempt_id)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.state.in_(states))
    )
    if since is not None:
        statement = statement.where(leases.c.released_at.is_(None) | (leases.c.released_at > since))
    if ended_since is not None:
        statement = statement.where(jobs.c.ended_at >= ended_since)
    return [Holding(**row) for row in tx.connection.execute(statement).mappings()]


def list_holders(tx: Transaction) -> Mapping[str, AttemptId]:
    """The attempt that holds each leased GPU, by UUID."""
    statement = select(leases.c.gpu_uuid, leases.c.attempt_id).where(leases.c.released_at.is_(None))
    return {uuid: AttemptId(attempt_id) for uuid, attempt_id in tx.connection.execute(statement)}
