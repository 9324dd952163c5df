"""Finds attempts that nobody looks after and puts their jobs back into the queue."""

from datetime import timedelta
from functools import partial

from service.dispatch import Dispatcher
from service.domain.states import Outcome
from service.settings import Settings
from service.store import attempts, hosts
from service.store.endings import end_attempt
from service.store.transaction import Transaction

ACTOR = "scheduler"


def rescue_lost(tx: Transaction, settings: Settings) -> None:
    """End attempts whose worker has been silent for longer than the lease."""
    limit = tx.now - timedelta(seconds=settings.lease_seconds)
    for attempt in attempts.list_silent_attempts(tx, since=limit):
        reason = (
            f"the worker on {attempt.host_name} has not been heard for {settings.lease_seconds:g} s; "
            "the job continues from its newest checkpoint"
        )
        end_attempt(tx, attempt, Outcome.LOST, reason=reason, actor=ACTOR, retry_limit=settings.retry_limit)


def resend_unclaimed(tx: Transaction, settings: Settings, dispatcher: Dispatcher) -> None:
    """Send attempts again that no worker has claimed; give up on hosts that are gone."""
    heard_since = tx.now - timedelta(seconds=settings.lease_seconds)
    heard = {host.name for host in hosts.list_hosts(tx, heard_since=heard_since)}
    sent_before = tx.now - timedelta(seconds=settings.resend_seconds)
    for attempt in attempts.list_unclaimed_attempts(tx, sent_before=sent_before):
        if attempt.host_name in heard:
            attempts.set_sent(tx, attempt.id)
            tx.after_commit(partial(dispatcher.send, attempt))
            continue
        reason = f"the worker on {attempt.host_name} was gone before it took the job"
        end_attempt(
            tx, attempt, Outcome.INTERRUPTED, reason=reason, actor=ACTOR, retry_limit=settings.retry_limit
        )
