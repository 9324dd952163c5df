"""The migrations build what the code expects, on every database."""

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, bindparam, text
from sqlalchemy.exc import IntegrityError

import migrations.versions
from service.db import migrate
from service.db.engine import make_engine, sqlite_wal_is_safe
from service.db.partial_indexes import add_partial_indexes
from service.db.tables import UtcDateTime, metadata
from service.domain import states
from service.domain.gpus import Gpu, Reading
from service.domain.people import Actor
from service.domain.scheduling_options import DEFAULT_SCHEDULING
from service.errors import DatabaseUnavailable, NewerDatabase, SettingError, WrongRevision
from service.settings import load_settings
from service.store.fleet import hosts, readings
from service.store.jobs import jobs
from service.store.people import audit
from service.store.transaction import Store, open_store

CHOICES: list[tuple[str, str, type[Enum]]] = [
    ("jobs", "state", states.JobState),
    ("jobs", "priority", states.Priority),
    ("attempts", "state", states.AttemptState),
    ("attempts", "outcome", states.Outcome),
    ("attempts", "cause", states.Cause),
    ("attempts", "stop_request", states.StopRequest),
    ("attempt_members", "outcome", states.Outcome),
    ("attempt_members", "cause", states.Cause),
    ("hosts", "standing", states.Standing),
    ("gpus", "state", states.GpuState),
    ("checkpoints", "kind", states.CheckpointKind),
    ("audit_entries", "action", states.Action),
    ("audit_entries", "subject", states.Subject),
    ("credentials", "kind", states.CredentialKind),
    ("credentials", "scope", states.Scope),
    ("datasets", "kind", states.DatasetKind),
    ("dataset_uploads", "kind", states.DatasetKind),
    ("studies", "priority", states.Priority),
    ("studies", "state", states.StudyState),
    ("study_runs", "stage", states.Stage),
    ("hooks", "channel", states.Channel),
    ("notifications", "occasion", states.Occasion),
    ("notifications", "job_state", states.JobState),
]


NOW = bindparam("now", type_=UtcDateTime)
OLD_JOB = text(
    "INSERT INTO jobs (owner, state, spec, architecture, dataset, gpus, reason, lost_attempts, submitted_at) "
    "VALUES ('ada', 'queued', :spec, 'lenet5', 'digits', 1, '', 0, :now)"
).bindparams(NOW)
LIKE_NO_JOB = text(
    "INSERT INTO jobs (owner, state, spec, architecture, dataset, gpus, reason, lost_attempts, submitted_at, "
    "like_job_id) VALUES ('ada', 'queued', '{}', 'lenet5', 'digits', 1, '', 0, :now, 99)"
).bindparams(NOW)
OLD_EVENT = text(
    "INSERT INTO job_events (job_id, at, actor, action, detail) "
    "SELECT id, :now, 'ada', 'submitted', '' FROM jobs"
).bindparams(NOW)

add_partial_indexes()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def test_upgrading_twice_and_going_down_and_up_again_ends_with_the_same_tables(engine: Engine) -> None:
    migrate.upgrade(engine)
    migrate.upgrade(engine)
    migrate.downgrade(engine, "base")
    migrate.upgrade(engine)
    with engine.connect() as connection:
        migrate.check_revision(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_jobs_of_an_older_cnnctl_are_there_after_the_upgrade_and_after_going_back(engine: Engine) -> None:
    migrate.upgrade(engine)
    migrate.downgrade(engine, "0002")
    with engine.begin() as connection:
        now = datetime.now(timezone.utc)
        for minutes in ("90.0", "null"):
            spec = f'{{"resources":{{"gpus":1,"time_limit_minutes":{minutes}}}}}'
            connection.execute(OLD_JOB, {"now": now, "spec": spec})
        connection.execute(OLD_EVENT, {"now": now})
    migrate.upgrade(engine)
    store = Store(engine)
    with store.transaction() as tx:
        unlimited, job = jobs.list_jobs(tx)
        assert (job.owner, job.scheduling, job.preemptions) == ("ada", DEFAULT_SCHEDULING, 0)
        assert (job.time_limit_seconds, unlimited.time_limit_seconds) == (5400, None)
        assert jobs.set_state_if(tx, job.id, states.JobState.QUEUED, states.JobState.PAUSED, reason="")
        audit.add_entry(tx, job.id, states.Action.PAUSED, actor=Actor(name="ada"))
    migrate.downgrade(engine, "0002")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT state FROM jobs ORDER BY id")).scalars().all()
        assert found == ["cancelled", "queued"]
        actions = connection.execute(text("SELECT action FROM job_events")).scalars().all()
        assert actions == ["submitted", "submitted"]
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_drained_gpu_still_gets_no_job_after_going_back(engine: Engine) -> None:
    migrate.upgrade(engine)
    store = Store(engine)
    gpu = Gpu(uuid="u", host_name="gpu01", number=0, model="m", memory_mib=1, simulated=True)
    with store.transaction() as tx:
        hosts.register_host(tx, "gpu01", worker="w", cores=2, devices=[gpu])
        readings.set_readings(tx, {"u": Reading(memory_used_mib=1)})
        assert hosts.drain_gpu(tx, "u", reason="by root")
    migrate.downgrade(engine, "0003")
    migrate.upgrade(engine)
    with store.reading() as tx:
        assert hosts.list_gpus(tx) == [replace(gpu, state=states.GpuState.QUARANTINED, reason="by root")]
        assert readings.list_readings(tx) == {}


def test_only_a_job_that_there_is_can_be_the_one_that_another_was_made_like(engine: Engine) -> None:
    migrate.upgrade(engine)
    migrate.downgrade(engine, "0010")
    migrate.upgrade(engine)
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), engine.begin() as connection:
        connection.execute(LIKE_NO_JOB, {"now": datetime.now(timezone.utc)})


def test_the_head_revision_is_the_newest_file() -> None:
    folder = Path(migrations.versions.__path__[0])
    newest = max(path.name for path in folder.glob("[0-9]*.py"))
    assert newest.startswith(f"{migrate.HEAD_REVISION}_")


@pytest.mark.parametrize(("table", "column", "enum"), CHOICES)
def test_the_database_allows_exactly_the_values_of_the_enum(
    store: Store, table: str, column: str, enum: type[Enum]
) -> None:
    with store.reading() as tx:
        connection = tx.connection
        rule = _check_rule(connection.dialect.name, table, column)
        definition = connection.execute(text(rule)).scalar_one()
    _, _, rest = definition.partition(f"CONSTRAINT ck_{table}_{column} ")
    allowed = re.search(r"IN \([^)]*\)|ARRAY\[[^]]*\]", rest or definition)
    assert allowed
    assert set(allowed[0].split("'")[1::2]) == {member.value for member in enum}


def _check_rule(dialect: str, table: str, column: str) -> str:
    if dialect == "sqlite":
        return f"SELECT sql FROM sqlite_master WHERE name = '{table}'"
    return f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_{table}_{column}'"


def test_every_choice_column_is_compared_with_its_enum() -> None:
    found = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if getattr(column.type, "create_constraint", False) and hasattr(column.type, "enums")
    }
    assert found == {(table, column) for table, column, _ in CHOICES}


def set_revision(store: Store, revision: str) -> None:
    with store.transaction() as tx:
        tx.connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})


def test_an_older_database_is_refused_with_the_command_that_mends_it(database_url: str) -> None:
    with closing(open_store(database_url)) as store:
        with pytest.raises(WrongRevision, match=r"no (cnnctl tables|database).*yet.*cnnctl db upgrade"):
            store.check_revision()
        store.upgrade()
        set_revision(store, "0002")
        with pytest.raises(WrongRevision, match=r"is at revision 0002.*cnnctl db upgrade"):
            store.check_revision()


def test_a_database_of_a_newer_cnnctl_is_left_alone_in_words(database_url: str) -> None:
    with closing(open_store(database_url)) as store:
        store.upgrade()
        set_revision(store, "9999")
        words = r"9999, which only a newer cnnctl knows.*Upgrade cnnctl here and leave the database"
        with pytest.raises(NewerDatabase, match=words):
            store.check_revision()
        with pytest.raises(NewerDatabase, match=words):  # at once, and never after the 3600 s
            store.wait_until_ready(seconds=3600)
        with pytest.raises(NewerDatabase, match=words):
            store.upgrade(seconds=3600)


def test_upgrades_at_the_same_moment_wait_for_each_other(database_url: str) -> None:
    def upgrade(_: int) -> None:
        with closing(open_store(database_url)) as store:
            store.upgrade()
            store.check_revision()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, range(4)))


@pytest.fixture
def reader_url(postgres_url: str) -> Iterator[str]:
    """A database seen by a user who may not make tables in it."""
    admin = make_engine(postgres_url)
    role = f"reader_{uuid.uuid4().hex}"
    with admin.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    yield admin.url.set(username=role).render_as_string(hide_password=False)
    with admin.begin() as connection:
        connection.execute(text(f"DROP ROLE {role}"))
    admin.dispose()


def test_a_user_who_may_not_make_tables_is_told_so(reader_url: str) -> None:
    with closing(open_store(reader_url)) as store:
        with pytest.raises(DatabaseUnavailable, match="permission denied for schema public"):
            store.upgrade(seconds=3600)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cnnctl.db"
    path.write_text("not a database, but long enough to be looked at as one" * 10)
    with closing(open_store(f"sqlite:///{path}")) as store:
        with pytest.raises(DatabaseUnavailable, match=r"cnnctl\.db.*not a database"):
            store.check_revision()


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    store = open_store("postgresql://cnnctl:sesame@127.0.0.1:1/cnnctl")
    with pytest.raises(DatabaseUnavailable, match="cnnctl doctor") as caught:
        store.check_revision()
    assert "sesame" not in str(caught.value)


def test_a_postgresql_database_made_in_the_c_locale_is_read_as_text(postgres_server: str) -> None:
    admin = make_engine(postgres_server).execution_options(isolation_level="AUTOCOMMIT")
    make = "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    with admin.connect() as connection:
        connection.execute(text(make))
    store = open_store(
        make_engine(postgres_server).url.set(database="ascii").render_as_string(hide_password=False)
    )
    store.upgrade()
    store.check_revision()
    store.close()
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE ascii WITH (FORCE)"))
    admin.dispose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://x@y/z", "must be postgresql://"),
        ("no url at all", "of the kind none"),
        ("oracle+nothing://", "must be postgresql://"),
        ("postgresql://cnnctl:secret@db:port/cnnctl", "must be postgresql://"),
        ("postgresql://cnnctl:secret@db:65536/cnnctl", "must be postgresql://"),
        ("postgresql://cnnctl:sec@secret@db/cnnctl", "write @ as %40"),
        ("postgresql://cnnctl:secret@db/cnnctl?flavour=pear", 'option "flavour"'),
        ("sqlite://?flavour=pear", "must be postgresql://"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused_in_words_without_its_password(url: str, words: str) -> None:
    with pytest.raises(SettingError, match="CNNCTL_DATABASE_URL") as caught:
        make_engine(url)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["what?", "100%41", "a#b c", "50%", "café"])
def test_a_data_folder_may_be_called_anything(tmp_path: Path, name: str) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path / name)})
    with closing(open_store(settings.database_url)) as store:
        store.upgrade()
        store.check_revision()
    assert (tmp_path / name / "cnnctl.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("version", "safe"),
    [((3, 40, 1), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 52, 0), False), ((3, 53, 0), True)],
)
def test_wal_is_used_only_where_its_reset_bug_is_mended(version: tuple[int, int, int], safe: bool) -> None:  # noqa: FBT001
    assert sqlite_wal_is_safe(version) is safe


def test_processes_that_write_to_one_sqlite_file_lose_no_update(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    store = open_store(url)
    store.upgrade()
    with store.transaction() as tx:
        tx.connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        tx.connection.execute(text("INSERT INTO counter VALUES (0)"))
    program = (
        "import sys; from sqlalchemy import text; from service.store.transaction import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "for _ in range(50):\n"
        "    with store.transaction() as tx:\n"
        "        n = tx.connection.execute(text('SELECT n FROM counter')).scalar()\n"
        "        tx.connection.execute(text('UPDATE counter SET n = :n'), {'n': n + 1})\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(4)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0, 0]
    with store.reading() as tx:
        assert tx.connection.execute(text("SELECT n FROM counter")).scalar() == 200
    store.close()
