"""Members, each one host's share of an attempt: created with the attempt, claimed, renewed, ended."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace

from sqlalchemy import insert, literal, select, update

from service.db.tables import attempt_members as members
from service.db.tables import attempts
from service.domain.jobs import AttemptId, Member
from service.domain.states import AttemptState, Cause, Outcome
from service.errors import Fenced
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

CHIEF = 0
_COLUMNS = columns_of(members, Member)
_OF_LIVE = members.c.attempt_id.in_(select(attempts.c.id).where(attempts.c.state != AttemptState.ENDED))


def create_members(tx: Transaction, attempt_id: AttemptId, host_names: Sequence[str]) -> None:
    """Store a member for each host, the chief first."""
    rows = [
        {"attempt_id": attempt_id, "rank": rank, "host_name": name, "reason": "", "sent_at": tx.now}
        for rank, name in enumerate(host_names)
    ]
    tx.connection.execute(insert(members), rows)


def list_members(tx: Transaction, attempt_id: AttemptId) -> Sequence[Member]:
    """An attempt's members by rank; empty if it runs on one host."""
    statement = select(*_COLUMNS).where(members.c.attempt_id == attempt_id).order_by(members.c.rank)
    return [to_value(Member, row) for row in tx.connection.execute(statement).mappings()]


def list_live_members(tx: Transaction) -> Mapping[AttemptId, Sequence[Member]]:
    """The members of attempts that have not ended, by rank."""
    statement = select(*_COLUMNS).where(_OF_LIVE).order_by(members.c.rank)
    found: dict[AttemptId, list[Member]] = defaultdict(list)
    for row in tx.connection.execute(statement).mappings():
        found[row["attempt_id"]].append(to_value(Member, row))
    return found


def list_left_members(tx: Transaction, *, host_name: str, worker: str) -> Sequence[Member]:
    """A host's members, except chiefs, that an earlier worker claimed and did not end."""
    left = members.c.ended_at.is_(None) & members.c.worker.is_not(None) & (members.c.worker != worker)
    statement = select(*_COLUMNS).where(left, members.c.host_name == host_name, members.c.rank != CHIEF)
    return [to_value(Member, row) for row in tx.connection.execute(statement).mappings()]


def claim_member(
    tx: Transaction, attempt_id: AttemptId, *, host_name: str, chief: bool, worker: str, address: str
) -> Member | None:
    """Claim a host's member of a live attempt for a worker; None if there is none, or it is claimed.

    A chief's worker may claim it again: the answer to its first commit may have been lost.
    """
    right_rank = members.c.rank == CHIEF if chief else members.c.rank != CHIEF
    mine = (members.c.attempt_id == attempt_id) & (members.c.host_name == host_name) & right_rank
    own = (members.c.worker == worker) & literal(chief)
    unclaimed = mine & (members.c.worker.is_(None) | own) & members.c.ended_at.is_(None) & _OF_LIVE
    values = {"worker": worker, "address": address, "heartbeat_at": tx.now}
    if tx.connection.execute(update(members).where(unclaimed).values(values)).rowcount != 1:
        return None
    row = tx.connection.execute(select(*_COLUMNS).where(mine)).mappings().one()
    return to_value(Member, row)


def adopt_member(tx: Transaction, member: Member, *, worker: str) -> Member:
    """Take over a member from an earlier worker of the same host, which can no longer write to it.

    Raises:
        Fenced: the member has ended, or another worker has it.
    """
    write(tx, member, worker=worker, heartbeat_at=tx.now)
    return replace(member, worker=worker, heartbeat_at=tx.now)


def heartbeat(tx: Transaction, attempt_ids: Collection[AttemptId], *, worker: str) -> Set[AttemptId]:
    """Renew a worker's members of these attempts; return the attempts whose member is still its own."""
    if not attempt_ids:
        return frozenset()
    mine = members.c.attempt_id.in_(attempt_ids) & (members.c.worker == worker) & members.c.ended_at.is_(None)
    statement = update(members).where(mine, _OF_LIVE).values(heartbeat_at=tx.now)
    return set(tx.connection.execute(statement.returning(members.c.attempt_id)).scalars())


def write(tx: Transaction, member: Member, **values: object) -> None:
    """Change a member that its worker still owns.

    Raises:
        Fenced: the member has ended, or another worker has it; nothing was changed.
    """
    mine = (
        (members.c.attempt_id == member.attempt_id)
        & (members.c.rank == member.rank)
        & (members.c.worker == member.worker)
        & members.c.ended_at.is_(None)
    )
    if tx.connection.execute(update(members).where(mine).values(values)).rowcount != 1:
        raise Fenced(f"Member {member.rank} of attempt {member.attempt_id} is no longer this worker's")


def end_member(
    tx: Transaction, member: Member, outcome: Outcome, *, cause: Cause | None = None, reason: str
) -> None:
    """Record that a member's processes are gone, and how they ended.

    Raises:
        Fenced: the member has ended, or another worker has it.
    """
    write(tx, member, outcome=outcome, cause=cause, reason=reason, ended_at=tx.now)


def set_sent(tx: Transaction, member: Member) -> None:
    """Record that a member was sent again now."""
    mine = (members.c.attempt_id == member.attempt_id) & (members.c.rank == member.rank)
    tx.connection.execute(update(members).where(mine).values(sent_at=tx.now))
