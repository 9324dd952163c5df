"""Asks many times a second whether anything has happened, for as little as that can cost."""

import time

from sqlalchemy.engine.interfaces import DBAPIConnection

from service.store import events
from service.store.transaction import Store

COARSE_CLOCK_NS = 100_000_000  # two writes in less may show the same moment
_NEWEST = "SELECT max(id) FROM job_events"


class EventWatch:
    """Asks over a connection of its own, straight through the driver; for one thread.

    A reading transaction of the pool takes ten times as long, most of it in Python, and an idle scheduler
    does nothing but ask. A SQLite file that has not changed is not even opened.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: DBAPIConnection | None = None
        self._changed: int | None = None
        self._newest = 0

    def newest_event_id(self) -> int:
        """The same as `events.newest_event_id`, outside of any transaction.

        Raises:
            DatabaseUnavailable: it does not answer on a new connection either.
        """
        changed = self._store.file_changed_at()
        settled = changed is not None and time.time_ns() - changed > COARSE_CLOCK_NS
        if not (settled and changed == self._changed):
            self._changed, self._newest = changed, self._ask_or_reconnect()
        return self._newest

    def _ask_or_reconnect(self) -> int:
        try:
            return self._ask()
        except self._store.driver_error:
            self.close()
        with self._store.reading() as tx:
            return events.newest_event_id(tx)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self) -> int:
        if self._connection is None:
            self._connection = self._store.connect_apart()
        cursor = self._connection.cursor()
        cursor.execute(_NEWEST)
        ((newest,),) = cursor.fetchall()  # all of it, or SQLite would stay in a reading transaction
        cursor.close()
        return newest or 0
