"""Why a queued job may not start yet, whatever GPUs are free."""

from collections.abc import Mapping
from datetime import datetime

from service.domain.jobs import Job, JobId
from service.domain.states import RETRYABLE, JobState


def explain_wait(job: Job, unmet: Mapping[JobId, JobState], *, now: datetime) -> str:
    """Say what a job waits for besides GPUs; empty when it may start.

    `unmet` has the jobs that have to succeed before it and have not.
    """
    for number, state in sorted(unmet.items()):
        if state in RETRYABLE:
            how = "failed" if state is JobState.FAILED else "was cancelled"
            return (
                f"job {number}, which it waits for, {how}; cnnctl retry {number}, or cnnctl cancel {job.id}"
            )
    if unmet:
        named = ", ".join(map(str, sorted(unmet)))
        return f"waits for {'jobs' if len(unmet) > 1 else 'job'} {named} to succeed"
    if job.terms.not_before is not None and now < job.terms.not_before:
        return f"waits until {job.terms.not_before:%Y-%m-%d %H:%M:%S} UTC, as asked with --not-before"
    return ""
