"""One decision in SQL: a transaction, its clock, and the actions after its commit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from service.db import migrate, roles
from service.db.engine import BUSY_TIMEOUT_SECONDS, make_engine, sqlite_path
from service.db.sqlite_file import SqliteFile
from service.db.write_queue import WriteQueue
from service.errors import CnnctlError, DatabaseGone, DatabaseUnavailable, NoTables, WrongRevision

START_SECONDS = 30.0
RETRY_SECONDS = 0.5
INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL's code for it


class Transaction:
    """The transaction that the functions of `service.store` use; callers never see the connection."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime] | None) -> None:
        self.connection = connection
        self._clock = clock
        self._now: datetime | None = None
        self._after_commit: list[Callable[[], None]] = []

    @property
    def now(self) -> datetime:
        """The time of this transaction, by the database's own clock if there is a server."""
        if self._now is None:
            self._now = self._clock() if self._clock else self._ask_time()
        return self._now

    def after_commit(self, act: Callable[[], None]) -> None:
        """Run `act` after the commit; never after a rollback."""
        self._after_commit.append(act)

    def run_after_commit(self) -> None:
        """Run all actions, even if one fails; then raise the first error."""
        failures: list[Exception] = []
        for act in self._after_commit:
            try:
                act()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _ask_time(self) -> datetime:
        if self.connection.dialect.name == "sqlite":
            return datetime.now(timezone.utc)
        moment: datetime = self.connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return moment.astimezone(timezone.utc)


class Store:
    """The database of the service; safe to share between threads."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self._engine = engine
        self._driver = engine.dialect.loaded_dbapi
        self._clock = clock
        # SQLite lets writers poll for the lock, up to ten times a second: of a hundred threads some would
        # wait for seconds, perhaps the heartbeat's.
        sqlite = engine.dialect.name == "sqlite"
        self._write_queue = WriteQueue(wait_seconds=BUSY_TIMEOUT_SECONDS) if sqlite else None
        path = sqlite_path(engine)
        self._file = SqliteFile(path) if path else None

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """Write: commits at the end of the block, or changes nothing.

        On SQLite the threads of a process take turns; an urgent one, such as a heartbeat, is next.

        Raises:
            DatabaseUnavailable: no connection, or it broke; nothing of the block is in the database,
                unless the answer to the commit itself was lost.
        """
        turn = self._write_queue.take(urgent=urgent) if self._write_queue else nullcontext()
        with turn, self._connected(read_only=False) as tx:
            yield tx
        tx.run_after_commit()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Read a consistent state; on SQLite this does not wait for a writer."""
        with self._connected(read_only=True) as tx:
            yield tx

    def check_revision(self) -> None:
        """Refuse a database of another version (see `migrate.check_revision`).

        Raises:
            NoTables, WrongRevision: with the command to run.
            NewerDatabase: a newer cnnctl has upgraded it.
        """
        self._check(migrate.check_revision)

    def check_complete(self) -> None:
        """Refuse a database of another version, or one whose restore did not finish."""
        self._check(migrate.check_complete)

    def _check(self, check: Callable[[Connection], None]) -> None:
        self._check_file()
        if self._file and self._file.is_missing():
            raise NoTables(f"There is no database {self.address} yet. Run: cnnctl db upgrade")
        with self.reading() as tx:
            check(tx.connection)

    def wait_until_ready(self, *, seconds: float = START_SECONDS) -> None:
        """Wait until the database responds and has its tables: it may be starting at the same time.

        Raises:
            DatabaseUnavailable, WrongRevision: it was still not ready when the time was up.
            NewerDatabase: at once, because waiting does not help.
            IncompleteDatabase: its restore did not finish.
        """
        _retry(self.check_complete, (DatabaseUnavailable, WrongRevision), seconds=seconds)

    def upgrade(self, *, seconds: float = 0.0) -> None:
        """Create or upgrade the tables, after waiting for the database for a limited time.

        Raises:
            DatabaseUnavailable: it does not respond, or its user may not create tables.
            NewerDatabase: a newer cnnctl has upgraded it.
            IncompleteDatabase: its restore did not finish.
        """
        try:
            _retry(self._upgrade_once, DatabaseUnavailable, seconds=seconds)
        except ProgrammingError as error:
            raise self._unavailable(error) from error

    def _upgrade_once(self) -> None:
        try:
            self._check_file()
            if self._file:
                self._file.make()
            migrate.upgrade(self._engine)
        except (OperationalError, OSError) as error:
            raise self._unavailable(error) from error

    def restrict_service(self, url: str) -> str:
        """Give the user of a URL rights to the tables and to nothing else (see `roles.restrict_service`).

        Raises:
            DatabaseUnavailable: it does not respond, or its owner may not create users.
            SettingError: the user has other rights, or the URL names another database.
        """
        try:
            return roles.restrict_service(self._engine, url)
        except (OperationalError, ProgrammingError) as error:
            raise self._unavailable(error) from error

    @property
    def address(self) -> str:
        """The database's URL without the password."""
        return self._engine.url.render_as_string(hide_password=True)

    def explain_loss(self) -> str:
        """What happened to an SQLite file since it was first used, in a sentence; empty: nothing."""
        loss = self._file.explain_loss() if self._file else ""
        return f"The database {self.address}, which is in use, {loss}" if loss else ""

    def _check_file(self) -> None:
        if loss := self.explain_loss():
            raise DatabaseGone(
                f"{loss}. Put it back; if it is lost, stop every process that uses it "
                "and start again: cnnctl up"
            )

    @property
    def folder(self) -> Path | None:
        """The folder of SQLite's files, which change with every write; None for a server."""
        return Path(self._engine.url.database or ".").parent if self._write_queue else None

    def connect_apart(self) -> DBAPIConnection:
        """A driver connection outside of the pool and of any transaction; close it after use.

        Raises:
            driver_error: the database does not respond.
        """
        pooled = self._engine.raw_connection()
        connection: DBAPIConnection = pooled.driver_connection  # type: ignore[assignment]
        pooled.detach()
        self._engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")
        return connection

    @property
    def driver_error(self) -> type[Exception]:
        """The driver's error class, for users of `connect_apart`."""
        return self._driver.Error

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _connected(self, *, read_only: bool) -> Iterator[Transaction]:
        self._check_file()
        try:
            options: dict[str, Any] = {"read_only": read_only}
            if read_only and not self._write_queue:
                options["isolation_level"] = "REPEATABLE READ"  # the same as on SQLite
            with self._engine.connect().execution_options(**options) as connection:
                with connection.begin():
                    yield Transaction(connection, self._clock)
        except (OperationalError, NoConnectionFree, self._driver.OperationalError) as error:
            raise self._unavailable(error) from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") == INSUFFICIENT_PRIVILEGE:
                raise DatabaseUnavailable(
                    f"The database {self.address} does not give its user enough rights: {_cause(error)}. "
                    "Its owner grants them, also after a restore, with: cnnctl db upgrade"
                ) from error
            # SQLite raises a plain DatabaseError for a file that is no database.
            if error.connection_invalidated or type(error) is DatabaseError:
                raise self._unavailable(error) from error
            raise

    def _unavailable(self, error: Exception) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"The database {self.address} cannot be used: {_cause(error)}. "
            "Check CNNCTL_DATABASE_URL and the server, then: cnnctl doctor"
        )


def _cause(error: Exception) -> str:
    """The most informative line: the server's own message, else the last line of the driver's message."""
    cause = getattr(error, "orig", None) or error
    said: str | None = getattr(getattr(cause, "diag", None), "message_primary", None)
    lines = str(cause).strip().splitlines()
    return (said or (lines[-1] if lines else repr(error))).rstrip(".")


def _retry(
    act: Callable[[], None],
    errors: type[CnnctlError] | tuple[type[CnnctlError], ...],
    *,
    seconds: float,
) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
            return
        except errors:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_SECONDS)


def open_store(url: str) -> Store:
    """Open the store of a database URL; connects at the first transaction."""
    return Store(make_engine(url))
