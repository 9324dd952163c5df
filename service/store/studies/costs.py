"""What runs of studies have cost here."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import func, select

from service.db.tables import attempts, leases, studies, study_runs
from service.store.transaction import Transaction


def find_run_seconds(tx: Transaction) -> Mapping[tuple[str, str], float]:
    """How many GPU-seconds a finished run took, by digest and scale of a study: the mean of its newest."""
    own = study_runs.c.numbers.is_not(None) & ~study_runs.c.shared & study_runs.c.job_id.is_not(None)
    newest = (
        select(func.max(studies.c.id))
        .join(study_runs, study_runs.c.study_id == studies.c.id)
        .where(own)
        .group_by(studies.c.digest, studies.c.scale)
    )
    statement = (
        select(
            studies.c.digest, studies.c.scale, study_runs.c.job_id, leases.c.acquired_at, leases.c.released_at
        )
        .join(study_runs, study_runs.c.study_id == studies.c.id)
        .join(attempts, attempts.c.job_id == study_runs.c.job_id)
        .join(leases, leases.c.attempt_id == attempts.c.id)
        .where(own & studies.c.id.in_(newest) & leases.c.released_at.is_not(None))
    )
    held: dict[tuple[str, str], float] = defaultdict(float)
    jobs: dict[tuple[str, str], set[int]] = defaultdict(set)
    for digest, scale, job, since, until in tx.connection.execute(statement):
        held[digest, scale] += max(0.0, (until - since).total_seconds())
        jobs[digest, scale].add(job)
    return {key: seconds / len(jobs[key]) for key, seconds in held.items()}
