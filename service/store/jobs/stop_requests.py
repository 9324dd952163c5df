"""Stop requests for live attempts: cancel, pause or preempt; workers read them with the heartbeat."""

from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.domain.states import Action, AttemptState, Outcome, StopRequest
from service.store.jobs import attempts
from service.store.jobs.endings import end_attempt
from service.store.people import audit
from service.store.transaction import Transaction

_REQUESTED = {
    StopRequest.CANCEL: Action.CANCEL_REQUESTED,
    StopRequest.PAUSE: Action.PAUSE_REQUESTED,
    StopRequest.PREEMPT: Action.PREEMPT_REQUESTED,
}


def request_stop(
    tx: Transaction, attempt: Attempt, stop_request: StopRequest, *, reason: str, actor: Actor
) -> bool:
    """Request an attempt's end; it ends at once if no worker has claimed it.

    `reason` says for whom, as in "paused by ada". False if it has ended, or has a stronger request.
    """
    if not attempts.set_stop_request(tx, attempt.id, stop_request, reason=reason):
        return False
    outcome = Outcome.CANCELLED if stop_request is StopRequest.CANCEL else Outcome.INTERRUPTED
    words = f"{reason} before it started"
    unclaimed = attempt.state is AttemptState.DISPATCHED
    if unclaimed and end_attempt(tx, attempt, outcome, reason=words, actor=actor, retry_limit=0):
        return True
    requested = _REQUESTED[stop_request]
    audit.add_entry(tx, attempt.job_id, requested, actor=actor, attempt_id=attempt.id, detail=reason)
    return True


def request_preemption(tx: Transaction, job_id: JobId, *, reason: str, actor: Actor) -> bool:
    """Request that a running job gives its GPUs to another job; it is queued again and loses nothing.

    `reason` says for whom, as in "preempted for job 12 of ada". False if the job has no live attempt, or
    already has a stop request.
    """
    attempt = attempts.find_live_attempt(tx, job_id)
    return attempt is not None and request_stop(tx, attempt, StopRequest.PREEMPT, reason=reason, actor=actor)
