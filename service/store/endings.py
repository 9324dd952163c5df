"""Ends an attempt in one decision: its leases, its job's state, the audit."""

from service.domain.jobs import Attempt
from service.domain.states import JOB_STATE_AFTER, MENDED_BY_RETRY, Action, Cause, JobState, Outcome, Wish
from service.store import attempts, checkpoints, events, jobs, leases
from service.store.transaction import Transaction

_ACTIONS = {
    JobState.SUCCEEDED: Action.SUCCEEDED,
    JobState.FAILED: Action.FAILED,
    JobState.CANCELLED: Action.CANCELLED,
    JobState.QUEUED: Action.REQUEUED,
}


def end_attempt(
    tx: Transaction,
    attempt: Attempt,
    outcome: Outcome,
    *,
    cause: Cause | None = None,
    reason: str,
    actor: str,
    retry_limit: int,
) -> bool:
    """End an attempt, give its GPUs back and move its job on; False when it had ended already.

    A wish to cancel holds, whatever ended the attempt. What another try may mend queues the job again, until
    `retry_limit` attempts in a row have ended so without a new checkpoint.
    """
    if not attempts.end_if_live(tx, attempt, outcome, cause=cause, reason=reason):
        return False
    leases.release(tx, attempt.id)
    state = JOB_STATE_AFTER[outcome]
    goes_on = state is JobState.QUEUED or cause in MENDED_BY_RETRY
    if goes_on and attempts.get_attempt(tx, attempt.id).wish is Wish.CANCEL:
        state, reason = JobState.CANCELLED, f"cancelled; {reason}"
    elif cause in MENDED_BY_RETRY:
        state, reason = _try_again(tx, attempt, reason, retry_limit=retry_limit)
    elif goes_on and checkpoints.has_checkpoint(tx, attempt.id):
        jobs.set_lost_attempts(tx, attempt.job_id, 0)
    jobs.set_state_if(tx, attempt.job_id, JobState.RUNNING, state, reason=reason)
    events.add_event(tx, attempt.job_id, _ACTIONS[state], actor=actor, attempt_id=attempt.id, detail=reason)
    return True


def _try_again(tx: Transaction, attempt: Attempt, reason: str, *, retry_limit: int) -> tuple[JobState, str]:
    """Count an attempt that was lost; after one that left a checkpoint, and so came further, anew."""
    before = jobs.get_job(tx, attempt.job_id).lost_attempts
    lost = 1 if checkpoints.has_checkpoint(tx, attempt.id) else before + 1
    jobs.set_lost_attempts(tx, attempt.job_id, lost)
    if lost <= retry_limit:
        return JobState.QUEUED, reason
    return JobState.FAILED, f"{reason}; {lost} attempts in a row. Look at: cnnctl logs {attempt.job_id}"
