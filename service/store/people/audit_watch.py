"""Tells of new audit entries, for as little as that can cost."""

import time
from typing import TYPE_CHECKING, cast

from sqlalchemy.engine.interfaces import DBAPIConnection

from service.store.people import audit
from service.store.transaction import Store

if TYPE_CHECKING:
    from psycopg import Connection  # an extra

_NEWEST = "SELECT max(id) FROM audit_entries"


class AuditWatch:
    """Asks over its own connection, directly through the driver; for one thread.

    A reading transaction of the pool takes ten times as long, most of it in Python, and an idle scheduler
    does nothing but ask. PostgreSQL also sends a notification over that connection with each commit that
    adds an entry. One may be lost, as behind a pooler: whoever waits polls when the time is up.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: DBAPIConnection | None = None

    def newest_entry_id(self) -> int:
        """The same as `audit.newest_entry_id`, outside of any transaction.

        Raises:
            DatabaseUnavailable: the database does not respond on a new connection either.
        """
        try:
            return self._ask()
        except self._store.driver_error:
            self.close()
        with self._store.reading() as tx:
            return audit.newest_entry_id(tx)

    def wait(self, seconds: float) -> None:
        """Wait until PostgreSQL tells of an entry that was added since the last call, at most so long.

        It returns at once when it has begun to listen or could not go on: what was added before is not told.
        """
        if self._connection is None:
            try:
                self._connection = self._connect()
            except self._store.driver_error:
                time.sleep(seconds)
            return
        listening = cast("Connection", self._connection)
        try:
            for _ in listening.notifies(timeout=seconds, stop_after=1):
                pass
        except self._store.driver_error:
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self) -> int:
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.cursor()
        cursor.execute(_NEWEST)
        ((newest,),) = cursor.fetchall()  # fetch all rows, or SQLite would stay in a read transaction
        cursor.close()
        return newest or 0

    def _connect(self) -> DBAPIConnection:
        connection = self._store.connect_apart()
        if self._store.folder is None:
            try:
                connection.cursor().execute(f"LISTEN {audit.CHANNEL}")
            except Exception:
                connection.close()
                raise
        return connection
