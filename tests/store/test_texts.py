"""Any text can be stored and asked for: no character of a file's name or a trainer's word stops a worker."""

from collections.abc import Callable
from pathlib import Path

from service.domain.jobs import Attempt, JobId
from service.domain.people import SCHEDULER
from service.domain.states import JobState, Outcome
from service.domain.trainer_events import Ended, Stage
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.people import usage, users
from service.store.transaction import Store
from workers.attempts.ingest import Ingester
from workers.train.process.reporter import Reporter

# NUL, which PostgreSQL refuses, half a character, and a byte of a file's name that is no UTF-8.
ODD = "a\0b\ud800c\udce9d ä\U0001f600"
STORED = "a␀b\\ud800c\\xe9d ä\U0001f600"


def test_what_no_database_can_store_becomes_a_visible_mark(
    store: Store, add_job: Callable[..., JobId]
) -> None:
    number = add_job()
    with store.transaction() as tx:
        assert jobs.set_state_if(tx, number, JobState.QUEUED, JobState.PAUSED, reason=ODD)
    with store.reading() as tx:
        assert jobs.get_job(tx, number).reason == STORED


def test_no_text_that_is_looked_for_is_an_error(store: Store) -> None:
    with store.transaction() as tx:
        users.lock_user(tx, ODD)
        assert users.get_user(tx, ODD).weight == 1
        assert not usage.list_stays(tx, owner=ODD, since=None)


def test_a_trainer_that_fails_on_a_file_with_an_odd_name_is_ended_with_its_words(
    store: Store,
    claimed: Callable[..., Attempt],
    open_reporter: Callable[[Path], Reporter],
    tmp_path: Path,
) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        attempts.write(tx, attempt, run_dir=str(tmp_path))
        attempt = attempts.get_attempt(tx, attempt.id)
    reporter = open_reporter(tmp_path / "events.jsonl")
    reporter.report(Stage(text=f"reads {ODD}"))
    reporter.ended(Ended(outcome=Outcome.FAILED, reason=f"{ODD} is no image"))
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    assert ingester.ingest()
    assert ingester.ended is not None
    with store.transaction() as tx:
        assert attempts.get_attempt(tx, attempt.id).reason == f"reads {STORED}"
        end_attempt(
            tx,
            attempt,
            Outcome.FAILED,
            reason=ingester.ended.reason,
            actor=SCHEDULER,
            retry_limit=0,
        )
        assert jobs.get_job(tx, attempt.job_id).reason.startswith(STORED)
