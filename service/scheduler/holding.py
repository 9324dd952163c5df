"""Holds back queued jobs that may not start yet, whatever GPUs are free."""

from collections.abc import Mapping, Sequence

from service.domain.jobs import Job, JobId
from service.domain.waiting import explain_wait
from service.store import dependencies
from service.store.transaction import Transaction


def explain_held_back(tx: Transaction, queued: Sequence[Job]) -> Mapping[JobId, str]:
    """The jobs that wait for their time or for other jobs, each with what it waits for."""
    unmet = dependencies.list_unmet(tx)
    reasons = {job.id: explain_wait(job, unmet.get(job.id, {}), now=tx.now) for job in queued}
    return {job_id: reason for job_id, reason in reasons.items() if reason}
