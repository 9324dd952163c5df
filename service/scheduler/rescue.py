"""Finds attempts that nobody looks after and puts their jobs back into the queue."""

from collections.abc import Set
from functools import partial

from service.dispatch import Dispatcher
from service.domain.states import Cause, Outcome
from service.scheduler.hearing import Hearing
from service.settings import Settings
from service.store import attempts
from service.store.endings import end_attempt
from service.store.transaction import Transaction

ACTOR = "scheduler"


def rescue_lost(tx: Transaction, settings: Settings, hearing: Hearing) -> None:
    """End attempts whose worker has been silent for longer than the lease."""
    claimed = attempts.list_claimed_attempts(tx)
    silent = hearing.find_silent({a.id: a.heartbeat_at for a in claimed if a.heartbeat_at})
    for attempt in claimed:
        if attempt.id in silent:
            reason = (
                f"the worker on {attempt.host_name} has not been heard for {settings.lease_seconds:g} s; "
                "the job continues from its newest checkpoint"
            )
            end_attempt(
                tx,
                attempt,
                Outcome.LOST,
                cause=Cause.LOST_HOST,
                reason=reason,
                actor=ACTOR,
                retry_limit=settings.retry_limit,
            )


def resend_unclaimed(
    tx: Transaction, settings: Settings, dispatcher: Dispatcher, hearing: Hearing, *, heard: Set[str]
) -> None:
    """Send attempts again that no worker has claimed; give up on hosts that are not heard."""
    unclaimed = attempts.list_unclaimed_attempts(tx)
    overdue = hearing.find_silent({attempt.id: attempt.sent_at for attempt in unclaimed})
    for attempt in unclaimed:
        if attempt.host_name not in heard:
            reason = f"the worker on {attempt.host_name} was gone before it took the job"
            end_attempt(
                tx, attempt, Outcome.INTERRUPTED, reason=reason, actor=ACTOR, retry_limit=settings.retry_limit
            )
        elif attempt.id in overdue:
            attempts.set_sent(tx, attempt.id)
            tx.after_commit(partial(dispatcher.send, attempt))
