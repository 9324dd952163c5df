"""The other hosts of an attempt, for its chief's worker, which waits for them and ends with them."""

import threading
import time
from collections.abc import Callable, Sequence

from service.domain.endings import Ending, TrainerReport, ending_of_member
from service.domain.jobs import Attempt, Member
from service.domain.states import AttemptState, Cause, Outcome, StopRequest
from service.errors import DatabaseUnavailable, Fenced
from service.liveness import LivenessMonitor
from service.settings import Settings
from service.store.jobs import attempts, members
from service.store.jobs.endings import end_member_reported
from service.store.jobs.members import CHIEF
from service.store.transaction import Store
from workers.attempts.addresses import HeldPort, get_own_address
from workers.attempts.outages import retry_until_available

LOOK_SECONDS = 0.1
WATCH_SECONDS = 0.5


class RendezvousFailed(Exception):
    """An attempt does not start, with the reason in `ending`; often a host was not ready in time."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class Rendezvous:
    """Watches the other members of an attempt for the supervisor of the chief."""

    def __init__(
        self, store: Store, settings: Settings, attempt: Attempt, all_members: Sequence[Member]
    ) -> None:
        self._store = store
        self._settings = settings
        self._attempt = attempt
        self._own = all_members[CHIEF]
        self._liveness = LivenessMonitor(settings.lease_seconds, pause_seconds=settings.lease_seconds / 2)
        self._next_look = 0.0
        self._port: HeldPort | None = None
        self._silent: set[int] = set()
        self.members = all_members

    def join_attempt(self) -> None:
        """Store the address of the chief's trainer."""
        self._port = HeldPort()
        address = f"{get_own_address(self._settings)}:{self._port.number}"
        name, worker = self._own.host_name, f"chief-{self._attempt.token}"
        with self._store.transaction() as tx:
            own = members.claim_member(
                tx, self._attempt.id, host_name=name, chief=True, worker=worker, address=address
            )
        if own is None:
            raise Fenced(f"Attempt {self._attempt.id} has ended")
        self._own = own

    def wait_for_hosts(
        self, *, stop_request: Callable[[], StopRequest | None], closing: threading.Event
    ) -> tuple[str, ...]:
        """Wait until every host has stored the address of its trainer; return the addresses by rank.

        Raises:
            RendezvousFailed: a host does not come, or somebody wants the attempt to end.
            Fenced: the attempt has ended.
        """
        while True:
            all_members = retry_until_available(self._look)
            retry_until_available(self._check_live)
            if stop_request() is StopRequest.CANCEL:
                raise RendezvousFailed(Ending(outcome=Outcome.CANCELLED, reason="cancelled before it ran"))
            if stop_request() or closing.is_set() or self.was_asked_to_stop():
                raise RendezvousFailed(_interrupted("told to stop before all its hosts were ready"))
            if failure := self._find_failure():
                raise RendezvousFailed(failure)
            if all(member.address for member in all_members):
                break
            time.sleep(LOOK_SECONDS)
        self._release_port()
        return tuple(member.address or "" for member in self.members)

    def find_failure(self) -> Ending | None:
        """Why the attempt cannot continue: a member failed, or its worker sends no heartbeat."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + WATCH_SECONDS
        try:
            self._look()
        except DatabaseUnavailable:
            return None
        return self._find_failure()

    def was_asked_to_stop(self) -> bool:
        """Whether another host's trainer has stopped because it was told to stop."""
        return any(member.outcome is Outcome.INTERRUPTED for member in self.members[1:])

    def end_together(self, report: TrainerReport) -> None:
        """Record how the chief ended, and wait until all processes of the other hosts are gone.

        It does not wait for a host without heartbeat: its trainer stops by itself when the lease ends.
        """
        retry_until_available(lambda: self._end_own(report))
        while any(not member.ended_at and member.worker for member in retry_until_available(self._look)[1:]):
            if all(
                member.ended_at or self._is_silent(member) for member in self.members[1:] if member.worker
            ):
                break
            time.sleep(LOOK_SECONDS)
        self._release_port()

    def _release_port(self) -> None:
        if self._port:
            self._port.release()

    def _end_own(self, report: TrainerReport) -> None:
        with self._store.transaction() as tx:
            own = members.list_members(tx, self._attempt.id)[CHIEF]
            if not own.ended_at:
                end_member_reported(tx, own, report)

    def _look(self) -> Sequence[Member]:
        with self._store.reading() as tx:
            self.members = members.list_members(tx, self._attempt.id)
        heartbeats = {
            member.rank: member.heartbeat_at or self._attempt.created_at for member in self.members[1:]
        }
        self._silent = self._liveness.list_silent(heartbeats)
        return self.members

    def _is_silent(self, member: Member) -> bool:
        return member.rank in self._silent

    def _check_live(self) -> None:
        with self._store.reading() as tx:
            if attempts.get_attempt(tx, self._attempt.id).state is AttemptState.ENDED:
                raise Fenced(f"Attempt {self._attempt.id} has ended")

    def _find_failure(self) -> Ending | None:
        for member in self.members[1:]:
            if member.outcome in (Outcome.FAILED, Outcome.LOST):
                return ending_of_member(member)
            if self._is_silent(member) and not member.ended_at:
                seconds = self._settings.lease_seconds
                if member.worker is None:
                    return _interrupted(
                        f"the worker on {member.host_name} did not claim the attempt in {seconds:g} s"
                    )
                reason = f"the worker on {member.host_name} has sent no heartbeat for {seconds:g} s"
                return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
        return None


def _interrupted(reason: str) -> Ending:
    return Ending(outcome=Outcome.INTERRUPTED, reason=f"{reason}; waits to start again")
