"""Makes engines: PostgreSQL through psycopg 3, SQLite with the locking that several processes need."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from service.errors import MissingExtra, SettingError
from service.escaping import escape_surrogates
from service.settings import name_kind

BUSY_TIMEOUT_SECONDS = 30.0
# On PostgreSQL, a process that is frozen in a transaction keeps its locks. Nobody waits longer than this for
# a lock, and the server ends a transaction that is silent for this long.
LOCK_SECONDS = 5.0
SILENT_TRANSACTION_SECONDS = 10.0
LAST_PORT = 65_535


def make_engine(url: str) -> Engine:
    """Make the engine for a database URL.

    Raises:
        SettingError: the URL cannot be read or names another kind of database.
        MissingExtra: PostgreSQL is named and psycopg is not installed.
    """
    parsed = _parse(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    engine = _make_sqlite_engine(parsed) if sqlite else _make_postgres_engine(parsed)
    event.listen(engine, "before_cursor_execute", _escape_parameters, retval=True)
    return engine


def _make_postgres_engine(url: URL) -> Engine:
    try:
        _check_options(url)
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "cnnctl",
                # A database made in the C locale is SQL_ASCII, and psycopg would answer in bytes.
                "client_encoding": "utf8",
                # A session's own time zone could push a time beyond the latest one that Python knows.
                "options": f"-c timezone=UTC -c lock_timeout={LOCK_SECONDS * 1000:.0f} "
                f"-c idle_in_transaction_session_timeout={SILENT_TRANSACTION_SECONDS * 1000:.0f}",
                # A server that vanishes silently must not delay a heartbeat for minutes.
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
            },
        )
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"PostgreSQL needs a package that is not installed: {error.name}. "
            "Install it with: pip install 'cnnctl[postgres]'"
        ) from None


def _check_options(url: URL) -> None:
    from psycopg import ProgrammingError  # an extra
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo("", **dict.fromkeys(url.query, ""))
    except ProgrammingError as error:
        raise SettingError(f"CNNCTL_DATABASE_URL: {error}") from None


def _parse(url: str) -> URL:
    head, is_file, path = url.partition(":///")
    if head == "sqlite" and is_file:
        return URL.create("sqlite", database=path)  # as it stands: a folder's name may hold ? and %41
    try:
        parsed = make_url(url)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _unreadable(url) from None
    if parsed.get_backend_name() == "sqlite" and not parsed.query:
        return parsed
    readable = "@" not in (parsed.host or "") and (parsed.port or 0) <= LAST_PORT
    if parsed.get_backend_name() != "postgresql" or not readable:
        raise _unreadable(url)
    return parsed


def _unreadable(url: str) -> SettingError:
    return SettingError(
        "CNNCTL_DATABASE_URL must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE (in a password, write @ "
        "as %40 and / as %2F) or sqlite:///PATH, or empty for SQLite in CNNCTL_HOME. "
        f"Received: a URL of the kind {name_kind(url)}"
    )


def _escape_parameters(
    _connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, *many: bool
) -> tuple[str, Any]:
    """Escape what databases refuse: surrogates, as in file names, and NUL, which PostgreSQL refuses."""
    # An INSERT of many rows that returns values comes as one row of all their parameters, and as `many`, too.
    has_rows = any(many) and isinstance(parameters, list)
    rows = parameters if has_rows else [parameters]
    if all(_is_plain(value) for row in rows for value in (row.values() if type(row) is dict else row)):
        return statement, parameters
    escaped = [_escape_row(row) for row in rows]
    return statement, escaped if has_rows else escaped[0]


def _is_plain(value: object) -> bool:
    return not isinstance(value, str) or (value.isascii() and "\0" not in value)


def _escape_row(row: Any) -> Any:
    if isinstance(row, Mapping):
        return {name: _escape(value) for name, value in row.items()}
    return tuple(map(_escape, row))


def _escape(value: object) -> object:
    return escape_surrogates(value).replace("\0", "␀") if isinstance(value, str) else value


def _make_sqlite_engine(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        _make_folder(Path(url.database).parent)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    if sqlite_path(engine):
        event.listen(engine, "do_connect", _make_no_file)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"The folder {folder} of the database cannot be created: {error.strerror}. "
            "Correct the path or its permissions, or set CNNCTL_HOME"
        ) from None


def sqlite_path(engine: Engine) -> Path | None:
    """The path of an SQLite database; None if it is in memory or on a server."""
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return Path(name) if name and name != ":memory:" else None


def _make_no_file(_dialect: object, _record: object, words: list[Any], options: dict[str, Any]) -> None:
    """Connect to an existing file; a new file in place of a deleted one would hide the loss."""
    words[0], options["uri"] = f"file:{quote(words[0])}?mode=rw", True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late: lost updates
    wal = sqlite_wal_is_safe(sqlite3.sqlite_version_info)
    connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def sqlite_wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite has the fix of the WAL-reset bug (sqlite.org/wal.html, 3.51.3 and 3.53.0)."""
    return version >= (3, 53, 0) or (3, 51, 3) <= version < (3, 52, 0)
