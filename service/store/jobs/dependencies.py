"""Dependencies: which jobs wait for others to succeed. Jobs wait only for earlier jobs: no cycle exists."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import insert, select

from service.db.tables import job_dependencies, jobs
from service.domain.jobs import JobId
from service.domain.states import JobState
from service.store.transaction import Transaction


def add_dependencies(tx: Transaction, job_id: JobId, after: Collection[JobId]) -> None:
    """Let a job wait until these jobs have succeeded."""
    rows = [{"job_id": job_id, "after_job_id": number} for number in sorted(set(after))]
    if rows:
        tx.connection.execute(insert(job_dependencies), rows)


def list_after(tx: Transaction, job_id: JobId) -> Sequence[JobId]:
    """The jobs that a job waits for."""
    mine = job_dependencies.c.job_id == job_id
    statement = select(job_dependencies.c.after_job_id).where(mine).order_by(job_dependencies.c.after_job_id)
    return [JobId(number) for number in tx.connection.execute(statement).scalars()]


def list_unmet(tx: Transaction) -> Mapping[JobId, Mapping[JobId, JobState]]:
    """For each queued job that may not start yet, the jobs that it waits for and that have not succeeded."""
    waiting, before = jobs.alias("waiting"), jobs.alias("before")
    statement = (
        select(waiting.c.id, before.c.id, before.c.state)
        .select_from(job_dependencies)
        .join(waiting, waiting.c.id == job_dependencies.c.job_id)
        .join(before, before.c.id == job_dependencies.c.after_job_id)
        .where(waiting.c.state == JobState.QUEUED, before.c.state != JobState.SUCCEEDED)
    )
    unmet: dict[JobId, dict[JobId, JobState]] = defaultdict(dict)
    for job_id, number, state in tx.connection.execute(statement):
        unmet[JobId(job_id)][JobId(number)] = state
    return dict(unmet)
