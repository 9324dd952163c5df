"""Gives the service's PostgreSQL user rights to the tables, and to nothing else."""

from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from service.db.migrate import REVISION_TABLE
from service.errors import SettingError

# Powers that reach beyond the tables: the server's files and programs, other databases, other users.
POWERS = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
FIND_USER = text(f"SELECT oid, {', '.join(POWERS)} FROM pg_roles WHERE rolname = :name")
FIND_GROUPS = text("SELECT roleid::regrole::text FROM pg_auth_members WHERE member = :oid")
FIND_OWNED = text(
    "SELECT relname FROM pg_class WHERE relowner = :oid AND relkind = 'r' UNION ALL "
    "SELECT datname FROM pg_database WHERE datdba = :oid ORDER BY 1 LIMIT 1"
)


def restrict_service(engine: Engine, service_url: str) -> str:
    """Let the user of `service_url` work on the tables and do nothing else; create the user if missing.

    Safe to repeat: after a restore or a migration, it grants rights to new tables. Returns the user's name.

    Raises:
        SettingError: the two URLs do not match, or the user already has more rights.
    """
    service = make_url(service_url)
    name, password = service.username or "", str(service.password or "")
    if engine.dialect.name != "postgresql" or engine.url.database != service.database:
        raise SettingError(
            "CNNCTL_OWNER_URL must name the PostgreSQL database of CNNCTL_DATABASE_URL, with another user"
        )
    with engine.begin() as connection:
        _make_user(connection, name, password)
        _grant(connection, name)
    return name


def _make_user(connection: Connection, name: str, password: str) -> None:
    found = connection.execute(FIND_USER, {"name": name}).mappings().first()
    if found is not None:
        powers = [power.removeprefix("rol") for power in POWERS if found[power]]
        groups = connection.execute(FIND_GROUPS, {"oid": found["oid"]}).scalars().all()
        owned = connection.execute(FIND_OWNED, {"oid": found["oid"]}).scalar()
        beyond = [
            *powers,
            *(f"member of {group}" for group in groups),
            *([f"owner of {owned}"] if owned else []),
        ]
        if beyond:
            raise SettingError(
                f"The user {name!r} of CNNCTL_DATABASE_URL has more rights than work on the tables needs: "
                f"{', '.join(beyond)}. Name another user there; `cnnctl db upgrade` creates it"
            )
    if password:
        act = "CREATE" if found is None else "ALTER"
        connection.exec_driver_sql(
            f"{act} ROLE {_quote(connection, name)} LOGIN PASSWORD '{_seal(connection, name, password)}'"
        )
    elif found is None:
        connection.exec_driver_sql(f"CREATE ROLE {_quote(connection, name)} LOGIN")


def _grant(connection: Connection, name: str) -> None:
    user = _quote(connection, name)
    database = _quote(connection, str(connection.engine.url.database))
    schema = _quote(connection, connection.execute(text("SELECT current_schema()")).scalar_one())
    for words in (
        f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",  # as it was before PostgreSQL 15
        f"REVOKE ALL ON SCHEMA {schema} FROM {user}",
        f"GRANT CONNECT ON DATABASE {database} TO {user}",
        f"GRANT USAGE ON SCHEMA {schema} TO {user}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}",
        f"REVOKE INSERT, UPDATE, DELETE ON {REVISION_TABLE} FROM {user}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}",
    ):
        connection.exec_driver_sql(words)


def _quote(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _seal(connection: Connection, name: str, password: str) -> str:
    """The password in the form that the server stores, so that no server log shows the password."""
    driver: Any = connection.connection.driver_connection
    sealed: bytes = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return sealed.decode()
