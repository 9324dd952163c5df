"""Follows the audit: waits for what is committed, and gives it in order, each entry once."""

import threading
from collections.abc import Callable, Sequence

import structlog

from cnnctl.views.access import AuditView
from service.commands.people.audit import describe
from service.dispatch.file_watch import FileWatch
from service.domain.jobs import JobId
from service.errors import DatabaseUnavailable
from service.store.people.audit_feed import SettledEntries, list_entries_between
from service.store.people.audit_watch import AuditWatch
from service.store.transaction import Store

LOOK_SECONDS = 0.5  # a notification may be lost
SOON_SECONDS = 0.05  # until the next look, of what is not settled yet and of what comes meanwhile
OUTAGE_SECONDS = 1.0
AT_ONCE = 500  # entries of one look
log = structlog.get_logger()


class AuditFollower:
    """For one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watch = AuditWatch(store)
        self._folder = FileWatch(store.folder) if store.folder else None
        self._entries = SettledEntries()
        with store.reading() as tx:
            self._position, _ = self._entries.find_settled(tx)

    @property
    def position(self) -> int:
        """The number of the last entry that was given, or that there was at the beginning."""
        return self._position

    def run(self, give: Callable[[Sequence[AuditView]], None], stop: threading.Event) -> None:
        """Give what is new until `stop` is set; a database that is away only delays it."""
        while not stop.is_set():
            try:
                new, more = self._look()
            except DatabaseUnavailable as error:
                log.warning("audit feed", action="database_unavailable", error=str(error))
                stop.wait(OUTAGE_SECONDS)
                continue
            except Exception:  # no entry may end the streams of everybody
                log.exception("audit feed", action="look_failed")
                stop.wait(OUTAGE_SECONDS)
                continue
            if new:
                give(new)
            if new or more:
                stop.wait(SOON_SECONDS)  # not at each commit: a look takes longer than telling an entry
            if not more:
                (self._folder or self._watch).wait(LOOK_SECONDS)  # returns at once for what came meanwhile
        self._watch.close()
        if self._folder:
            self._folder.close()

    def _look(self) -> tuple[Sequence[AuditView], bool]:
        """What is new, and whether there is more."""
        with self._store.reading() as tx:
            settled, more = self._entries.find_settled(tx)
            if settled <= self._position:
                return [], more
            found = list_entries_between(tx, after=self._position, up_to=settled, limit=AT_ONCE)
        self._position = found[-1].id if found else settled
        return [describe(entry) for entry in found], more or self._position < settled


def list_between(store: Store, *, after: int, up_to: int, job: int | None) -> Sequence[AuditView]:
    """A part of what a client has missed, oldest first."""
    with store.reading() as tx:
        found = list_entries_between(
            tx, after=after, up_to=up_to, limit=AT_ONCE, job_id=None if job is None else JobId(job)
        )
    return [describe(entry) for entry in found]
