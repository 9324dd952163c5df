"""What people do to jobs: cancel and retry."""

from service.domain.jobs import JobId
from service.domain.states import RETRYABLE, Action, AttemptState, JobState, Outcome, Wish
from service.errors import JobConflict
from service.store import attempts, events, jobs
from service.store.endings import end_attempt
from service.store.transaction import Store, Transaction

RETRY_REASON = "waits for the scheduler, to be tried again"


def cancel(store: Store, job_id: JobId, *, actor: str) -> JobState:
    """Cancel a job: at once while nobody runs it, else its worker is asked to stop it.

    Returns the job's state after that: `cancelled`, or `running` while its trainer stops.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has ended already.
    """
    with store.transaction() as tx:
        job = jobs.get_job(tx, job_id)
        queued = job.state is JobState.QUEUED
        if queued and jobs.set_state_if(
            tx, job_id, JobState.QUEUED, JobState.CANCELLED, reason=f"cancelled by {actor} in the queue"
        ):
            events.add_event(tx, job_id, Action.CANCELLED, actor=actor)
            return JobState.CANCELLED
        return _cancel_attempt(tx, job_id, actor=actor)


def retry(store: Store, job_id: JobId, *, actor: str) -> None:
    """Queue a failed or cancelled job again; it continues from its newest valid checkpoint.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has not failed and was not cancelled.
    """
    with store.transaction() as tx:
        job = jobs.get_job(tx, job_id)
        if job.state not in RETRYABLE or not jobs.set_state_if(
            tx, job_id, job.state, JobState.QUEUED, reason=RETRY_REASON
        ):
            raise JobConflict(
                f"Job {job_id} cannot be retried: it is {job.state.value}. "
                f"Only failed or cancelled jobs can be. See: cnnctl status {job_id}"
            )
        jobs.set_lost_attempts(tx, job_id, 0)
        events.add_event(tx, job_id, Action.RETRIED, actor=actor)


def _cancel_attempt(tx: Transaction, job_id: JobId, *, actor: str) -> JobState:
    attempt = attempts.find_live_attempt(tx, job_id)
    if attempt is None:
        state = jobs.get_job(tx, job_id).state.value
        raise JobConflict(
            f"Job {job_id} cannot be cancelled: it is already {state}. "
            f"Only queued or running jobs can be. See: cnnctl status {job_id}"
        )
    reason = f"cancelled by {actor} before it started"
    unclaimed = attempt.state is AttemptState.DISPATCHED
    if unclaimed and end_attempt(tx, attempt, Outcome.CANCELLED, reason=reason, actor=actor, retry_limit=0):
        return JobState.CANCELLED
    if not attempts.set_wish(tx, attempt.id, Wish.CANCEL):
        raise JobConflict(f"Job {job_id} changed just now. Look, then try again: cnnctl status {job_id}")
    events.add_event(tx, job_id, Action.CANCEL_REQUESTED, actor=actor, attempt_id=attempt.id)
    return JobState.RUNNING
