"""Claims this host's members of attempts over several hosts, new ones or those of a dead worker."""

from collections.abc import Mapping

from service.domain.jobs import AttemptId
from service.errors import DatabaseUnavailable
from service.settings import Settings
from service.store.jobs import attempts, members
from service.store.transaction import Store
from workers.attempts.addresses import HeldPort, get_own_address
from workers.attempts.member_supervisor import MemberSupervisor


def claim_own_member(
    store: Store, settings: Settings, attempt_id: AttemptId, *, worker: str, threads_per_gpu: int
) -> MemberSupervisor | None:
    """Claim this host's member of an attempt for this worker; None if there is nothing to do."""
    port = HeldPort()
    address = f"{get_own_address(settings)}:{port.number}"
    name = settings.host_name
    try:
        with store.transaction() as tx:
            member = members.claim_member(
                tx, attempt_id, host_name=name, chief=False, worker=worker, address=address
            )
            attempt = attempts.get_attempt(tx, attempt_id) if member else None
    except DatabaseUnavailable:
        port.release()
        raise
    if member is None or attempt is None:
        port.release()
        return None
    return MemberSupervisor(store, settings, attempt, member, port=port, threads_per_gpu=threads_per_gpu)


def adopt_own_members(
    store: Store, settings: Settings, *, worker: str, threads_per_gpu: int
) -> Mapping[AttemptId, MemberSupervisor]:
    """Take over the members that an earlier worker of this host did not end, also of ended attempts."""
    with store.transaction() as tx:
        left = members.list_left_members(tx, host_name=settings.host_name, worker=worker)
        adopted = [members.adopt_member(tx, member, worker=worker) for member in left]
        attempt_of = {member.attempt_id: attempts.get_attempt(tx, member.attempt_id) for member in adopted}
    return {
        member.attempt_id: MemberSupervisor(
            store, settings, attempt_of[member.attempt_id], member, threads_per_gpu=threads_per_gpu
        )
        for member in adopted
    }
