"""Ends an attempt in one decision: its leases, its job's state, the audit."""

from service.domain.jobs import Attempt
from service.domain.states import JOB_STATE_AFTER, Action, JobState, Outcome, Wish
from service.store import attempts, events, jobs, leases
from service.store.transaction import Transaction

_ACTIONS = {
    JobState.SUCCEEDED: Action.SUCCEEDED,
    JobState.FAILED: Action.FAILED,
    JobState.CANCELLED: Action.CANCELLED,
    JobState.QUEUED: Action.REQUEUED,
}


def end_attempt(
    tx: Transaction, attempt: Attempt, outcome: Outcome, *, reason: str, actor: str, retry_limit: int
) -> bool:
    """End an attempt, give its GPUs back and move its job on; False when it had ended already.

    A wish to cancel holds, whatever ended the attempt. A lost attempt queues its job again until
    `retry_limit` attempts in a row were lost.
    """
    if not attempts.end_if_live(tx, attempt, outcome, reason=reason):
        return False
    leases.release(tx, attempt.id)
    state = JOB_STATE_AFTER[outcome]
    if state is JobState.QUEUED and attempts.get_attempt(tx, attempt.id).wish is Wish.CANCEL:
        state, reason = JobState.CANCELLED, f"cancelled; {reason}"
    elif outcome is Outcome.LOST:
        lost = jobs.get_job(tx, attempt.job_id).lost_attempts + 1
        jobs.set_lost_attempts(tx, attempt.job_id, lost)
        if lost > retry_limit:
            state = JobState.FAILED
            reason = f"{reason}; {lost} attempts in a row were lost. Look at: cnnctl logs {attempt.job_id}"
    jobs.set_state_if(tx, attempt.job_id, JobState.RUNNING, state, reason=reason)
    events.add_event(tx, attempt.job_id, _ACTIONS[state], actor=actor, attempt_id=attempt.id, detail=reason)
    return True
