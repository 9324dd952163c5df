"""A database which a restore left half done: nothing that stays works on it, and the words say why."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from service.errors import IncompleteDatabase
from service.store.transaction import Store, open_store
from tests.conftest import new_database
from tests.servers import postgres_program

LOST = [
    ("DELETE FROM alembic_version", "has tables, but no revision"),
    ("DROP TABLE alembic_version", "has tables, but no revision"),
    ("DROP TABLE checkpoints", "lacks table checkpoints"),
    ("DROP INDEX ix_jobs_state", "lacks index ix_jobs_state"),
    ("DROP INDEX uq_leases_live_gpu", "lacks index uq_leases_live_gpu"),
]
LOST_BY_A_SERVER = [
    ("ALTER TABLE attempts DROP CONSTRAINT fk_attempts_job_id", "lacks foreign key fk_attempts_job_id"),
    ("ALTER TABLE metrics DROP CONSTRAINT pk_metrics", "lacks primary key pk_metrics"),
    ("ALTER TABLE attempts DROP CONSTRAINT uq_attempts_job_id", "lacks index uq_attempts_job_id"),
    ("ALTER TABLE jobs DROP COLUMN owner", "lacks column jobs.owner"),
]


def lose(store: Store, statement: str) -> None:
    with store.transaction() as tx:
        tx.connection.execute(text(statement))


def plain_url(url: str) -> str:
    """As PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def test_a_database_that_has_all_is_taken(store: Store) -> None:
    store.check_complete()


@pytest.mark.parametrize(("statement", "words"), LOST)
def test_a_database_that_lacks_a_part_is_refused_at_once(store: Store, statement: str, words: str) -> None:
    lose(store, statement)
    with pytest.raises(IncompleteDatabase, match=f"{words}.*did not finish.*docs/stack.md"):
        store.wait_until_ready(seconds=3600)


@pytest.mark.parametrize(("statement", "words"), LOST_BY_A_SERVER)
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_server_that_lacks_a_rule_is_refused(store: Store, statement: str, words: str) -> None:
    lose(store, statement)
    with pytest.raises(IncompleteDatabase, match=words):
        store.wait_until_ready(seconds=3600)


@pytest.mark.parametrize("statement", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
def test_tables_without_a_revision_are_not_upgraded(store: Store, statement: str) -> None:
    lose(store, statement)
    with pytest.raises(IncompleteDatabase, match="no revision"):
        store.upgrade(seconds=3600)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_restore_that_stopped_before_its_last_part_is_noticed(
    store_url: str, postgres_server: str, tmp_path: Path
) -> None:
    """What `pg_restore` of a dump without its last part leaves: data, and none of the rules."""
    dump, load = postgres_program("pg_dump"), postgres_program("pg_restore")
    subprocess.run([dump, "-Fc", "-f", tmp_path / "dump", plain_url(store_url)], check=True)
    with new_database(postgres_server) as url:
        words = [load, "--no-owner", "-d", plain_url(url)]
        subprocess.run([*words, "--section=pre-data", "--section=data", tmp_path / "dump"], check=True)
        with closing(open_store(url)) as half:
            with pytest.raises(IncompleteDatabase, match=r"lacks .* and .* more"):
                half.check_complete()
            subprocess.run([*words, "--section=post-data", tmp_path / "dump"], check=True)
            half.check_complete()
