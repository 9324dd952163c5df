"""The database itself refuses what the code should never write."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.domain.states import Action, CheckpointKind, JobState
from service.store.jobs import checkpoints, jobs
from service.store.people import audit
from service.store.transaction import Store


@pytest.fixture
def filled(store: Store, claimed: Callable[..., Attempt], add_job: Callable[..., JobId]) -> Store:
    """A store with a row in every table that has a choice: one job has ended, one attempt is live."""
    attempt = claimed()
    ended = add_job()
    with store.transaction() as tx:
        checkpoint = Checkpoint(
            step=1, epoch=1, kind=CheckpointKind.LAST, bytes=1, digest="d" * 64, path="/runs/1/1/c"
        )
        checkpoints.add_checkpoint(tx, attempt.id, checkpoint)
        audit.add_entry(tx, ended, Action.SUBMITTED, actor=Actor(name="ada"))
        jobs.set_state_if(tx, ended, JobState.QUEUED, JobState.CANCELLED, reason="")
    return store


@pytest.mark.parametrize(
    ("table", "column", "rows"),
    [
        ("jobs", "state", "ended_at IS NOT NULL"),
        ("attempts", "state", "true"),
        ("attempts", "outcome", "true"),
        ("attempts", "stop_request", "true"),
        ("gpus", "state", "true"),
        ("checkpoints", "kind", "true"),
        ("audit_entries", "action", "true"),
    ],
)
def test_a_value_outside_the_enum_is_refused(filled: Store, table: str, column: str, rows: str) -> None:
    with filled.reading() as tx:
        assert tx.connection.execute(text(f"SELECT count(*) FROM {table} WHERE {rows}")).scalar_one() > 0
    with pytest.raises(IntegrityError, match=f"ck_{table}_{column}"), filled.transaction() as tx:
        tx.connection.execute(text(f"UPDATE {table} SET {column} = 'nonsense' WHERE {rows}"))


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE jobs SET state = 'failed' WHERE ended_at IS NULL", "ended_at_iff_finished"),
        ("UPDATE jobs SET gpus = 0", "gpus_positive"),
        ("UPDATE attempts SET state = 'ended'", "iff_ended"),
        ("UPDATE attempts SET outcome = 'lost'", "outcome_iff_ended"),
        ("UPDATE attempts SET number = 0", "number_positive"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    filled: Store, statement: str, constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), filled.transaction() as tx:
        tx.connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET job_id = 99",
        "UPDATE attempts SET host_name = 'nowhere'",
        "UPDATE leases SET gpu_uuid = 'none'",
        "DELETE FROM jobs",
    ],
)
def test_a_row_that_others_point_to_has_to_be_there(filled: Store, statement: str) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), filled.transaction() as tx:
        tx.connection.execute(text(statement))


def test_what_was_refused_left_nothing_behind(filled: Store) -> None:
    def break_half_way() -> None:
        with filled.transaction() as tx:
            jobs.set_lost_attempts(tx, JobId(1), 7)
            tx.connection.execute(text("UPDATE gpus SET state = 'nonsense'"))

    with pytest.raises(IntegrityError):
        break_half_way()
    with filled.reading() as tx:
        assert jobs.get_job(tx, JobId(1)).lost_attempts == 0
