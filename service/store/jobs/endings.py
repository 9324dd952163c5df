"""Ends an attempt in one decision: its leases, its job's state, the audit entry."""

from service.domain.endings import Ending, TrainerReport, infer_ending, merge_endings
from service.domain.jobs import Attempt, Member
from service.domain.people import Actor
from service.domain.states import (
    FINISHED,
    JOB_STATE_AFTER,
    UNDONE_BY_RETRY,
    Action,
    Cause,
    JobState,
    Outcome,
    StopRequest,
)
from service.errors import Fenced
from service.store.fleet import leases
from service.store.jobs import attempts, checkpoints, jobs, members
from service.store.people import audit, outbox
from service.store.transaction import Transaction

PREEMPTED_WAITS = "waits to continue from its newest checkpoint"
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
    actor: Actor,
    retry_limit: int,
    pause: bool = False,
) -> bool:
    """End an attempt, give its GPUs back and move its job on; False if it had already ended.

    A request to cancel or pause counts, whatever ended the attempt. If another try may help, the job is
    queued again, until `retry_limit` attempts in a row have ended like this without a new checkpoint. With
    `pause`, the job of an interrupted attempt is paused, and its owner is notified.
    """
    if not attempts.end_if_live(tx, attempt, outcome, cause=cause, reason=reason):
        return False
    leases.release(tx, attempt.id)
    ended = attempts.get_attempt(tx, attempt.id)
    state, action, why = _decide(tx, ended, outcome, retry_limit=retry_limit, pause=pause)
    jobs.set_state_if(tx, attempt.job_id, JobState.RUNNING, state, reason=why)
    audit.add_entry(tx, attempt.job_id, action, actor=actor, attempt_id=attempt.id, detail=why)
    if state in FINISHED or action is Action.PREEMPTED or (pause and state is JobState.PAUSED):
        job = jobs.get_job(tx, attempt.job_id)
        outbox.enqueue(tx, job, state, attempt_id=attempt.id, reason=why)
    return True


def end_reported(
    tx: Transaction, attempt: Attempt, report: TrainerReport, *, actor: Actor, retry_limit: int
) -> Ending | None:
    """End an attempt according to its worker's report; None if it had already ended.

    The meaning of the report depends on the attempt's stop request: it is decided here, with the row locked.
    """
    try:
        attempts.write(tx, attempt)  # locks the row: no request comes between the decision and the end
    except Fenced:
        return None
    ending = infer_ending(report, stop_request=attempts.get_attempt(tx, attempt.id).stop_request)
    ending = merge_endings(ending, members.list_members(tx, attempt.id)[1:])
    end_attempt(
        tx,
        attempt,
        ending.outcome,
        cause=ending.cause,
        reason=ending.reason,
        actor=actor,
        retry_limit=retry_limit,
        pause=ending.pause,
    )
    return ending


def end_member_reported(tx: Transaction, member: Member, report: TrainerReport) -> None:
    """End a member of an attempt according to its worker's report.

    Raises:
        Fenced: the member has ended, or another worker has it.
    """
    ending = infer_ending(report, stop_request=attempts.get_attempt(tx, member.attempt_id).stop_request)
    members.end_member(tx, member, ending.outcome, cause=ending.cause, reason=ending.reason)


def _decide(
    tx: Transaction, ended: Attempt, outcome: Outcome, *, retry_limit: int, pause: bool
) -> tuple[JobState, Action, str]:
    """The job's next state, the action for the audit, and the reason."""
    state, reason = JOB_STATE_AFTER[outcome], ended.reason
    another_try = ended.cause in UNDONE_BY_RETRY
    if not (state is JobState.QUEUED or another_try):
        return state, _ACTIONS[state], reason
    if ended.stop_request is StopRequest.CANCEL:
        return JobState.CANCELLED, Action.CANCELLED, f"cancelled; {reason}"
    if pause:
        resume = f"cnnctl resume {ended.job_id}"
        how = f"Fix that, then: {resume}. Or start over: {resume} --from-start"
        return JobState.PAUSED, Action.PAUSED, f"{reason}. Nothing was deleted. {how}"
    if another_try and ended.stop_request is not StopRequest.PAUSE:
        state, reason = _try_again(tx, ended, reason, retry_limit=retry_limit)
        return state, _ACTIONS[state], reason
    if checkpoints.has_checkpoint(tx, ended.id):
        jobs.set_lost_attempts(tx, ended.job_id, 0)
    if ended.stop_request is StopRequest.PAUSE:
        return JobState.PAUSED, Action.PAUSED, f"{ended.stop_reason}; cnnctl resume {ended.job_id}"
    if ended.stop_request is StopRequest.PREEMPT:
        jobs.count_preemption(tx, ended.job_id)
        return state, Action.PREEMPTED, f"{ended.stop_reason}; {PREEMPTED_WAITS}"
    return state, Action.REQUEUED, reason


def _try_again(tx: Transaction, attempt: Attempt, reason: str, *, retry_limit: int) -> tuple[JobState, str]:
    """Count a lost attempt; an attempt that wrote a checkpoint made progress and restarts the count."""
    before = jobs.get_job(tx, attempt.job_id).lost_attempts
    lost = 1 if checkpoints.has_checkpoint(tx, attempt.id) else before + 1
    jobs.set_lost_attempts(tx, attempt.job_id, lost)
    if lost <= retry_limit:
        return JobState.QUEUED, reason
    return JobState.FAILED, f"{reason}; {lost} attempts in a row. See: cnnctl logs {attempt.job_id}"
