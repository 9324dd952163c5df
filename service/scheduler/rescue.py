"""Finds attempts that nobody looks after and puts their jobs back into the queue."""

from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from functools import partial

from service.dispatch import Dispatcher
from service.domain.jobs import Member
from service.domain.states import Cause, Outcome
from service.scheduler.hearing import Hearing
from service.settings import Settings
from service.store import attempts, members
from service.store.endings import end_attempt
from service.store.transaction import Transaction

ACTOR = "scheduler"


def rescue_lost(tx: Transaction, settings: Settings, hearing: Hearing) -> None:
    """End attempts whose worker has been silent for longer than the lease."""
    claimed = attempts.list_claimed_attempts(tx)
    silent = hearing.find_silent({a.id: a.heartbeat_at for a in claimed if a.heartbeat_at})
    parts = members.list_live_members(tx) if silent else {}
    for attempt in claimed:
        if attempt.id in silent and not _has_others(parts.get(attempt.id, ()), settings, now=tx.now):
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
    for part in _list_unclaimed_parts(tx):
        if (tx.now - part.sent_at).total_seconds() > settings.resend_seconds:
            members.set_sent(tx, part)
            attempt = attempts.get_attempt(tx, part.attempt_id)
            tx.after_commit(partial(dispatcher.send, attempt, host_name=part.host_name))
    for attempt in unclaimed:
        if attempt.host_name not in heard:
            reason = f"the worker on {attempt.host_name} was gone before it took the job"
            end_attempt(
                tx, attempt, Outcome.INTERRUPTED, reason=reason, actor=ACTOR, retry_limit=settings.retry_limit
            )
        elif attempt.id in overdue:
            attempts.set_sent(tx, attempt.id)
            tx.after_commit(partial(dispatcher.send, attempt))


def _list_unclaimed_parts(tx: Transaction) -> Sequence[Member]:
    """The parts of live attempts that no worker has taken; the chief's is taken with its attempt."""
    parts = members.list_live_members(tx).values()
    return [part for of_one in parts for part in of_one[1:] if part.worker is None]


def _has_others(parts: Sequence[Member], settings: Settings, *, now: datetime) -> bool:
    """Whether other hosts still hold GPUs: they stop when the chief is silent, and say when that is done."""
    lease = timedelta(seconds=settings.lease_seconds)
    return any(
        part.heartbeat_at is not None and part.ended_at is None and now - part.heartbeat_at < lease
        for part in parts[1:]
    )
