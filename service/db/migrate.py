"""Brings the database to the revision that this code needs, and checks the revision."""

from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from service.db.completeness import has_some_table, list_missing, name_some
from service.errors import IncompleteDatabase, NewerDatabase, NoTables, WrongRevision

if TYPE_CHECKING:
    from alembic.config import Config

# Stated here so that commands need not import Alembic (0.3 s); a test compares it with the newest file.
HEAD_REVISION = "0017"
REVISION_TABLE = "alembic_version"
NO_REVISION = "has tables, but no revision"
MIGRATION_LOCK = 0x636E6E63  # any number that this program alone uses; "cnnc"


def upgrade(engine: Engine) -> None:
    """Create or upgrade all tables in one transaction; concurrent upgrades wait for each other.

    Raises:
        NewerDatabase: a newer cnnctl has made the database.
        IncompleteDatabase: it has tables without a revision.
    """
    from alembic import command
    from alembic.util import CommandError

    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # another migration may take long
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        if current_revision(connection) is None and has_some_table(connection):
            raise _half_restored(NO_REVISION)
        try:
            command.upgrade(alembic_config(connection), "head")
        except CommandError as error:
            raise NewerDatabase(_explain_newer(current_revision(connection))) from error


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to an older revision; only tests and careful administrators do that."""
    from alembic import command

    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), revision)


def alembic_config(connection: Connection) -> "Config":
    """Alembic's configuration without an ini file: the scripts and the connection to use."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    return config


def current_revision(connection: Connection) -> str | None:
    """The revision in the database; None when it has no cnnctl tables."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()


def check_revision(connection: Connection) -> None:
    """Refuse to work on a database of another version.

    Raises:
        NoTables, WrongRevision, IncompleteDatabase: with the remedy.
        NewerDatabase: the database is ahead of this cnnctl; upgrade cnnctl.
    """
    found = current_revision(connection)
    needed = f"this cnnctl needs {HEAD_REVISION}. Run: cnnctl db upgrade"
    if found is None and has_some_table(connection):
        raise _half_restored(NO_REVISION)
    if found is None:
        raise NoTables(f"The database has no cnnctl tables yet; {needed}")
    if found > HEAD_REVISION:  # revision numbers have the same number of digits
        raise NewerDatabase(_explain_newer(found))
    if found != HEAD_REVISION:
        raise WrongRevision(f"The database is at revision {found}; {needed}")


def _explain_newer(found: str | None) -> str:
    return (
        f"The database is at revision {found}, which only a newer cnnctl knows; this one knows "
        f"{HEAD_REVISION}. Upgrade cnnctl here and leave the database as it is"
    )


def check_complete(connection: Connection) -> None:
    """Refuse to work on a database whose restore did not finish.

    Takes 10 ms: for long-running processes, not for every command.

    Raises:
        NoTables, WrongRevision, IncompleteDatabase: with the remedy.
    """
    check_revision(connection)
    if missing := list_missing(connection):
        raise _half_restored(f"lacks {name_some(missing)}")


def _half_restored(what: str) -> IncompleteDatabase:
    return IncompleteDatabase(
        f"The database {what}: a restore of it did not finish. "
        "Restore the whole backup again, as docs/stack.md says; cnnctl does not use the database until then"
    )
