"""Checkpoints: the restorable states in a job's run folders."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, exists, insert, select, update

from service.db.tables import attempts, checkpoints, jobs
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import AttemptId, JobId
from service.domain.states import CheckpointKind, JobState
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction


def add_checkpoint(tx: Transaction, attempt_id: AttemptId, checkpoint: Checkpoint) -> None:
    """Record a checkpoint; a new best checkpoint replaces the job's former best."""
    if checkpoint.kind is CheckpointKind.BEST:
        job = select(attempts.c.job_id).where(attempts.c.id == attempt_id).scalar_subquery()
        of_job = checkpoints.c.attempt_id.in_(select(attempts.c.id).where(attempts.c.job_id == job))
        former = update(checkpoints).where(of_job, checkpoints.c.kind == CheckpointKind.BEST)
        tx.connection.execute(former.values(kind=CheckpointKind.LAST))
    values = {column.name: getattr(checkpoint, column.name) for column in columns_of(checkpoints, Checkpoint)}
    tx.connection.execute(insert(checkpoints).values(attempt_id=attempt_id, **values))


def remove_checkpoint(tx: Transaction, job_id: JobId, *, path: str) -> None:
    """Forget a checkpoint of a job, of any attempt, whose files are being deleted."""
    of_job = checkpoints.c.attempt_id.in_(select(attempts.c.id).where(attempts.c.job_id == job_id))
    tx.connection.execute(delete(checkpoints).where(of_job, checkpoints.c.path == path))


def forget_checkpoints(tx: Transaction, job_id: JobId) -> int:
    """Forget all checkpoints of a job and return their number; their files stay."""
    of_job = checkpoints.c.attempt_id.in_(select(attempts.c.id).where(attempts.c.job_id == job_id))
    return tx.connection.execute(delete(checkpoints).where(of_job)).rowcount


def list_checkpoints_of(
    tx: Transaction, states: Collection[JobState]
) -> Mapping[AttemptId, Sequence[Checkpoint]]:
    """The checkpoints of all jobs in one of these states, newest first, by attempt."""
    statement = (
        select(checkpoints.c.attempt_id, *columns_of(checkpoints, Checkpoint))
        .join(attempts, attempts.c.id == checkpoints.c.attempt_id)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.state.in_(states))
        .order_by(checkpoints.c.step.desc())
    )
    found: dict[AttemptId, list[Checkpoint]] = {}
    for row in tx.connection.execute(statement).mappings():
        values = dict(row)
        found.setdefault(AttemptId(values.pop("attempt_id")), []).append(Checkpoint(**values))
    return found


def list_checkpoints(tx: Transaction, job_id: JobId) -> Sequence[Checkpoint]:
    """A job's checkpoints over all its attempts, newest first.

    The newest checkpoint was written last, not trained longest: a later attempt that began at an earlier step
    had a reason, and the job now continues from it.
    """
    statement = (
        select(*columns_of(checkpoints, Checkpoint))
        .join(attempts, attempts.c.id == checkpoints.c.attempt_id)
        .where(attempts.c.job_id == job_id)
        .order_by(attempts.c.number.desc(), checkpoints.c.step.desc())
    )
    return [to_value(Checkpoint, row) for row in tx.connection.execute(statement).mappings()]


def list_passed_over(tx: Transaction, job_id: JobId) -> frozenset[str]:
    """The paths of the checkpoints that a later attempt could not read: it began at an earlier step."""
    later = attempts.alias("later")
    passed_over = exists().where(
        later.c.job_id == job_id,
        later.c.number > attempts.c.number,
        later.c.start_step < checkpoints.c.step,
    )
    statement = (
        select(checkpoints.c.path)
        .join(attempts, attempts.c.id == checkpoints.c.attempt_id)
        .where(attempts.c.job_id == job_id, passed_over)
    )
    return frozenset(tx.connection.execute(statement).scalars())


def has_checkpoint(tx: Transaction, attempt_id: AttemptId) -> bool:
    """Whether an attempt has written a checkpoint that still exists."""
    mine = select(checkpoints.c.id).where(checkpoints.c.attempt_id == attempt_id).limit(1)
    return tx.connection.execute(mine).first() is not None
