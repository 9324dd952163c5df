"""The labels of jobs: name and note in the job's row, tags in rows of their own."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, insert, select, update

from service.db.tables import job_tags, jobs
from service.domain.jobs import JobId
from service.domain.labels import Labels
from service.store.transaction import Transaction


def get_labels(tx: Transaction, job_id: JobId) -> Labels:
    """The labels of a job that there is."""
    statement = select(jobs.c.name, jobs.c.note).where(jobs.c.id == job_id)
    row = tx.connection.execute(statement).one()
    tags = list_tags(tx, [job_id]).get(job_id, ())
    return Labels(name=row.name, tags=tuple(tags), note=row.note)


def set_labels(tx: Transaction, job_id: JobId, labels: Labels) -> None:
    """Replace the labels of a job."""
    texts = update(jobs).where(jobs.c.id == job_id).values(name=labels.name, note=labels.note)
    tx.connection.execute(texts)
    tx.connection.execute(delete(job_tags).where(job_tags.c.job_id == job_id))
    add_tags(tx, [(job_id, tag) for tag in labels.tags])


def add_tags(tx: Transaction, tags: Collection[tuple[JobId, str]]) -> None:
    """Add tags that jobs do not have yet."""
    rows = [{"job_id": job_id, "tag": tag} for job_id, tag in tags]
    if rows:
        tx.connection.execute(insert(job_tags), rows)


def list_tags(tx: Transaction, job_ids: Collection[JobId]) -> Mapping[JobId, Sequence[str]]:
    """The tags of each of these jobs, in the order of the alphabet; jobs without any are left out."""
    mine = job_tags.c.job_id.in_(job_ids)
    statement = select(job_tags.c.job_id, job_tags.c.tag).where(mine)
    found: dict[JobId, list[str]] = defaultdict(list)
    for job_id, tag in tx.connection.execute(statement):
        found[JobId(job_id)].append(tag)
    return {job_id: sorted(tags) for job_id, tags in found.items()}
