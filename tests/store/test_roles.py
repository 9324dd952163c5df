"""Two users of one PostgreSQL database: the owner of the tables, and the service, which works on them."""

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import ProgrammingError

from service.cli.main import main
from service.errors import DatabaseUnavailable, SettingError
from service.store.jobs import jobs
from service.store.transaction import open_store
from tests.conftest import administrator

FORBIDDEN = [
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "COPY jobs TO '/tmp/jobs'",
    "COPY jobs FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "CREATE TABLE mine (n INTEGER)",
    "CREATE TEMPORARY TABLE mine (n INTEGER)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "ALTER TABLE jobs ADD COLUMN mine INTEGER",
    "ALTER TABLE jobs DISABLE TRIGGER ALL",
    "DROP TABLE jobs",
    "TRUNCATE jobs",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM alembic_version",
    "ALTER SYSTEM SET fsync = off",
]


@pytest.fixture
def service_url(postgres_url: str) -> Iterator[str]:
    """The database with a user who is not there yet."""
    name = f"service_{uuid.uuid4().hex}"
    yield make_url(postgres_url).set(username=name, password="pear").render_as_string(hide_password=False)
    with administrator(postgres_url) as connection:
        if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).scalar():
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))


def name_in(url: str) -> str:
    return str(make_url(url).username)


def upgrade(owner_url: str, service_url: str) -> str:
    """`cnnctl db upgrade`, as the compose stack runs it."""
    given = {"CNNCTL_OWNER_URL": owner_url, "CNNCTL_DATABASE_URL": service_url}
    done = CliRunner().invoke(main, ["db", "upgrade"], env=given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def service(postgres_url: str, service_url: str) -> Iterator[Connection]:
    """A connection of the service's user, after the upgrade."""
    assert f"{name_in(service_url)} may read and write its tables" in upgrade(postgres_url, service_url)
    with administrator(service_url) as connection:
        yield connection


def test_the_service_may_do_nothing_beyond_its_tables(service: Connection) -> None:
    for statement in FORBIDDEN:
        with pytest.raises(ProgrammingError, match="InsufficientPrivilege"):
            service.execute(text(statement))


def test_the_service_works_on_every_table(service: Connection, service_url: str) -> None:
    tables = text(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    )
    names = service.execute(tables).scalars().all()
    assert "jobs" in names
    for name in names:
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            assert service.execute(text(f"SELECT has_table_privilege('{name}', '{right}')")).scalar(), name


def test_jobs_are_submitted_and_shown_by_the_service_user(service: Connection, service_url: str) -> None:
    given = {"CNNCTL_DATABASE_URL": service_url}
    for words in (["submit", "lenet5", "--dataset", "digits"], ["status"], ["cancel", "1"]):
        done = CliRunner().invoke(main, words, env=given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    with closing(open_store(service_url)) as store, store.reading() as tx:
        assert [job.state.value for job in jobs.list_jobs(tx)] == ["cancelled"]


def test_an_existing_database_is_brought_there_and_a_new_password_counts(
    postgres_url: str, service_url: str
) -> None:
    """The upgrade of a stack in which everything was done by one superuser."""
    with closing(open_store(postgres_url)) as store:
        store.upgrade()
    secrets = []
    for password in ("pear", "pear", "plum"):
        url = make_url(service_url).set(password=password).render_as_string(hide_password=False)
        upgrade(postgres_url, url)
        with administrator(postgres_url) as connection:
            stored = text("SELECT rolpassword FROM pg_authid WHERE rolname = :name")
            secrets.append(connection.execute(stored, {"name": name_in(url)}).scalar_one())
    assert all(secret.startswith("SCRAM-SHA-256$") for secret in secrets)
    with closing(open_store(service_url)) as store:
        store.check_complete()


def test_a_database_that_was_restored_without_rights_names_the_act_that_gives_them(
    postgres_url: str, service_url: str
) -> None:
    upgrade(postgres_url, service_url)
    with administrator(postgres_url) as connection:
        connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name_in(service_url)}"))
    with closing(open_store(service_url)) as store:
        with pytest.raises(DatabaseUnavailable, match=r"enough rights: permission denied.*cnnctl db upgrade"):
            store.wait_until_ready(seconds=0)
        upgrade(postgres_url, service_url)
        store.wait_until_ready(seconds=0)


@pytest.mark.parametrize(
    "power", ["SUPERUSER", "CREATEROLE", "CREATEDB", "IN ROLE pg_execute_server_program"]
)
def test_a_user_with_more_rights_is_refused(postgres_url: str, service_url: str, power: str) -> None:
    with administrator(postgres_url) as connection:
        connection.execute(text(f"CREATE ROLE {name_in(service_url)} LOGIN {power}"))
    with closing(open_store(postgres_url)) as store:
        store.upgrade()
        with pytest.raises(SettingError, match=r"more rights than.*Name another user"):
            store.restrict_service(service_url)


def test_the_owner_is_not_taken_for_the_service(postgres_url: str) -> None:
    with closing(open_store(postgres_url)) as store:
        store.upgrade()
        with pytest.raises(SettingError, match=r"more rights than.*owner of"):
            store.restrict_service(postgres_url)


@pytest.mark.parametrize("other", ["sqlite:////tmp/x.db", "postgresql://u:p@127.0.0.1/another"])
def test_an_owner_of_another_database_is_refused(postgres_url: str, other: str) -> None:
    with closing(open_store(postgres_url)) as store:
        with pytest.raises(SettingError, match="CNNCTL_OWNER_URL must name"):
            store.restrict_service(other)
