"""Finds attempts without a live worker and puts their jobs back into the queue."""

from collections.abc import Hashable, Sequence, Set
from datetime import datetime, timezone
from functools import partial

import structlog

from service.dispatch.dispatcher import Dispatcher
from service.domain.jobs import AttemptId, Member
from service.domain.people import SCHEDULER
from service.domain.states import Cause, Outcome, Standing
from service.liveness import LivenessMonitor
from service.settings import Settings
from service.store.fleet import hosts
from service.store.jobs import attempts, members
from service.store.jobs.endings import end_attempt
from service.store.transaction import Transaction

UNANSWERED_SENDS = 4  # sends of a message before its host counts as silent; sooner than the lease ends

NEVER = datetime.min.replace(tzinfo=timezone.utc)

log = structlog.get_logger()


def rescue_lost(tx: Transaction, settings: Settings, liveness: LivenessMonitor) -> None:
    """End attempts whose worker has been silent for longer than the lease."""
    claimed = attempts.list_claimed_attempts(tx)
    others = [member for member in _list_others(tx) if not member.ended_at] if claimed else []
    heartbeats: dict[Hashable, datetime] = {a.id: a.heartbeat_at for a in claimed if a.heartbeat_at}
    heartbeats |= {_name(member): member.heartbeat_at for member in others if member.heartbeat_at}
    silent = liveness.list_silent(heartbeats)
    # The other hosts still hold GPUs: they stop when the chief is silent, and report when they have.
    held = {member.attempt_id for member in others if _name(member) in heartbeats.keys() - silent}
    for attempt in claimed:
        if attempt.id in silent - held:
            reason = (
                f"the worker on {attempt.host_name} has sent no heartbeat for {settings.lease_seconds:g} s; "
                "the job continues from its newest checkpoint"
            )
            end_attempt(
                tx,
                attempt,
                Outcome.LOST,
                cause=Cause.LOST_HOST,
                reason=reason,
                actor=SCHEDULER,
                retry_limit=settings.retry_limit,
            )


def resend_unclaimed(
    tx: Transaction,
    settings: Settings,
    dispatcher: Dispatcher,
    liveness: LivenessMonitor,
    unanswered: LivenessMonitor,
    *,
    alive: Set[str],
) -> Set[str]:
    """Resend attempts that no worker has claimed; give up on hosts that are not alive.

    A host that is alive but leaves repeated messages `unanswered` counts as silent. Returns the hosts that
    are alive after that.
    """
    unclaimed = attempts.list_unclaimed_attempts(tx)
    others = [member for member in _list_others(tx) if member.worker is None]
    waiting: dict[Hashable, str] = {attempt.id: attempt.host_name for attempt in unclaimed}
    waiting |= {_name(member): member.host_name for member in others}
    if dispatcher.error:  # nothing is sent now, and the time counts from the next send
        waiting = {}
    # A new worker gets the whole time to read the messages that were sent to its predecessor.
    workers = {host.name: host.worker for host in hosts.list_hosts(tx)}
    asked = {(name, workers[host]): host for name, host in waiting.items() if host in alive}
    deaf = {asked[name] for name in unanswered.list_silent(dict.fromkeys(asked, NEVER))}
    if deaf:
        _set_unanswering(tx, deaf)
    sent: dict[Hashable, datetime] = {attempt.id: attempt.sent_at for attempt in unclaimed}
    overdue = liveness.list_silent(sent | {_name(member): member.sent_at for member in others})
    for member in others:
        if _name(member) in overdue:
            members.set_sent(tx, member)
            attempt = attempts.get_attempt(tx, member.attempt_id)
            tx.after_commit(partial(dispatcher.send, attempt, host_name=member.host_name))
    for attempt in unclaimed:
        if attempt.host_name not in alive - deaf:
            reason = f"the worker on {attempt.host_name} was gone before it claimed the job"
            if attempt.host_name in deaf:
                reason = f"the worker on {attempt.host_name} is alive but takes no messages"
            end_attempt(
                tx,
                attempt,
                Outcome.INTERRUPTED,
                reason=reason,
                actor=SCHEDULER,
                retry_limit=settings.retry_limit,
            )
        elif attempt.id in overdue:
            attempts.set_sent(tx, attempt.id)
            tx.after_commit(partial(dispatcher.send, attempt))
    return alive - deaf


def ask_unanswering(tx: Transaction, dispatcher: Dispatcher) -> None:
    """Send its newest attempt again to each host that takes no messages: if it arrives, the host is back.

    The message itself has no effect, because an attempt is claimed only once.
    """
    for host in hosts.list_hosts(tx):
        if host.standing is Standing.UNANSWERING and (attempt := attempts.find_newest_on(tx, host.name)):
            tx.after_commit(partial(dispatcher.send, attempt))


def _set_unanswering(tx: Transaction, names: Set[str]) -> None:
    for host in hosts.list_hosts(tx):
        if host.name in names:
            hosts.set_unanswering(tx, host.name, worker=host.worker)
            log.error("host", action="takes_no_messages", host=host.name)


def _list_others(tx: Transaction) -> Sequence[Member]:
    """The members of live attempts, without the chiefs, which end with their attempts."""
    return [member for of_one in members.list_live_members(tx).values() for member in of_one[1:]]


def _name(member: Member) -> tuple[AttemptId, int]:
    return member.attempt_id, member.rank
