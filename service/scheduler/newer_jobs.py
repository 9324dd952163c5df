"""Keeps jobs of a newer cnnctl in the queue until a version runs here that knows their whole spec."""

from collections.abc import Mapping, Sequence

from service.domain.jobs import Job, JobId, Waiting
from service.domain.spec import explain_unknown
from service.domain.stored_spec import MADE_BY_NEWER
from service.scheduler.faulty_jobs import FaultyJobs
from service.store.jobs import attempts
from service.store.transaction import Transaction


class NewerJobs:
    """Remembers which part of each queued job's spec is unknown here; a spec never changes."""

    def __init__(self) -> None:
        self._unknown: dict[JobId, str] = {}

    def explain(self, tx: Transaction, queued: Sequence[Job], faulty: FaultyJobs) -> Mapping[JobId, Waiting]:
        """Why each job waits that this scheduler, or the worker that tried it, cannot read."""
        self._unknown = {job.id: self._explain_unknown(job, faulty) for job in queued}
        refused = any(job.reason.startswith(MADE_BY_NEWER) for job in queued)
        refusals = attempts.list_refused_jobs(tx) if refused else frozenset()
        reasons = {
            job.id: f"{MADE_BY_NEWER} ({unknown}): upgrade cnnctl where the scheduler runs"
            if (unknown := self._unknown[job.id])
            else job.reason
            for job in queued
            if self._unknown[job.id] or job.id in refusals
        }
        return {job_id: Waiting(job_id=job_id, reason=reason) for job_id, reason in reasons.items()}

    def _explain_unknown(self, job: Job, faulty: FaultyJobs) -> str:
        if job.id in self._unknown:
            return self._unknown[job.id]
        return faulty.guard(job.id, lambda: explain_unknown(job.spec)) or ""
