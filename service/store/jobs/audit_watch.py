"""Asks many times a second whether anything has happened, for as little as that can cost."""

from sqlalchemy.engine.interfaces import DBAPIConnection

from service.store.jobs import audit
from service.store.transaction import Store

_NEWEST = "SELECT max(id) FROM job_events"


class AuditWatch:
    """Asks over a connection of its own, straight through the driver; for one thread.

    A reading transaction of the pool takes ten times as long, most of it in Python, and an idle scheduler
    does nothing but ask.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: DBAPIConnection | None = None

    def newest_entry_id(self) -> int:
        """The same as `events.newest_entry_id`, outside of any transaction.

        Raises:
            DatabaseUnavailable: it does not answer on a new connection either.
        """
        try:
            return self._ask()
        except self._store.driver_error:
            self.close()
        with self._store.reading() as tx:
            return audit.newest_entry_id(tx)

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
