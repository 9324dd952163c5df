"""Checkpoints that could not be read are never pruned, and only a person lets their job begin again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.commands.jobs.control import resume
from service.domain.endings import TrainerReport
from service.domain.jobs import Attempt
from service.domain.people import SCHEDULER, Actor
from service.domain.states import Action, Channel, CheckpointKind, JobState, Occasion, Outcome, StopRequest
from service.domain.trainer_events import Ended
from service.errors import JobConflict
from service.settings import Settings
from service.store.jobs import attempts, checkpoints, jobs, stop_requests
from service.store.jobs.endings import end_reported
from service.store.people import audit, hooks, outbox
from service.store.transaction import Store
from tests.conftest import ADA
from tests.store.conftest import state_of, steps_in_sql, steps_on_disk, write_checkpoint
from workers.attempts.pruning import prune_checkpoints

AddRun = Callable[..., Attempt]
Second = Callable[..., tuple[Attempt, Attempt]]
FINAL_EVENT = Ended(outcome=Outcome.INTERRUPTED, reason="it can go on from none", pause=True)


def start(store: Store, attempt: Attempt, *, step: int) -> None:
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=step)


def write(store: Store, attempt: Attempt, *steps: int) -> None:
    for step in steps:
        checkpoint = write_checkpoint(Path(attempt.run_dir), step)
        with store.transaction() as tx:
            checkpoints.add_checkpoint(tx, attempt.id, checkpoint)
        prune_checkpoints(store, attempt)


@pytest.fixture
def second(store: Store, settings: Settings, add_run: AddRun, claimed: AddRun) -> Second:
    """A job's first attempt, interrupted with checkpoints of steps 1 (best), 2 and 3; and its second."""

    def begin(*, start_step: int) -> tuple[Attempt, Attempt]:
        first = add_run(Outcome.INTERRUPTED)
        again = claimed(first.job_id, runs_dir=str(settings.runs_dir))
        start(store, again, step=start_step)
        return first, again

    return begin


def test_nothing_is_pruned_of_what_a_new_beginning_could_not_read(store: Store, second: Second) -> None:
    first, again = second(start_step=0)
    write(store, again, 10, 20, 30)
    assert steps_on_disk(first) == [1, 2, 3]
    assert steps_on_disk(again) == [20, 30]
    assert steps_in_sql(store, first.job_id) == [1, 2, 3, 20, 30]


def test_what_was_passed_over_stays_and_what_was_read_is_pruned(store: Store, second: Second) -> None:
    first, again = second(start_step=2)
    write(store, again, 4, 5)
    assert steps_on_disk(first) == [1, 3]  # the best, and the one that was passed over
    assert steps_on_disk(again) == [4, 5]


def test_the_former_best_stays_though_it_is_no_more_the_best(store: Store, second: Second) -> None:
    first, again = second(start_step=0)
    write(store, again, 1)  # a best one
    with store.reading() as tx:
        best = [c for c in checkpoints.list_checkpoints(tx, first.job_id) if c.kind is CheckpointKind.BEST]
    assert [Path(c.path).parents[1] for c in best] == [Path(again.run_dir)]
    assert 1 in steps_on_disk(first)


def end_with_pause(store: Store, attempt: Attempt) -> None:
    report = TrainerReport(final_event=FINAL_EVENT)
    with store.transaction() as tx:
        end_reported(tx, attempt, report, actor=SCHEDULER, retry_limit=3)


def test_a_job_that_none_of_its_checkpoints_fits_waits_for_a_person(store: Store, second: Second) -> None:
    with store.transaction() as tx:
        hooks.add_hook(tx, "ada", channel=Channel.WEBHOOK, address="http://x", occasions=[Occasion.FAILURE])
    first, again = second(start_step=0)
    end_with_pause(store, again)
    with store.reading() as tx:
        job = jobs.get_job(tx, first.job_id)
        assert outbox.list_owners_due(tx) == ["ada"]
        assert audit.list_entries(tx, job.id)[-1].action is Action.PAUSED
    assert job.state is JobState.PAUSED
    assert "it can go on from none. Nothing was deleted" in job.reason
    assert job.reason.endswith(f"cnnctl resume {job.id} --from-start")


def test_only_a_resume_from_the_start_forgets_the_checkpoints(store: Store, second: Second) -> None:
    first, again = second(start_step=0)
    end_with_pause(store, again)
    resume(store, first.job_id, actor=ADA)
    assert steps_in_sql(store, first.job_id) == [1, 2, 3]
    with pytest.raises(JobConflict):
        resume(store, first.job_id, actor=ADA, from_start=True)
    assert steps_in_sql(store, first.job_id) == [1, 2, 3]
    with store.transaction() as tx:
        jobs.set_state_if(tx, first.job_id, JobState.QUEUED, JobState.PAUSED, reason="")
    resume(store, first.job_id, actor=ADA, from_start=True)
    assert (state_of(store, first.job_id), steps_in_sql(store, first.job_id)) == (JobState.QUEUED, [])
    assert steps_on_disk(first) == [1, 2, 3]
    with store.reading() as tx:
        assert "from step 0; 3 checkpoints are forgotten" in audit.list_entries(tx, first.job_id)[-1].detail


def test_a_cancel_counts_for_more(store: Store, second: Second) -> None:
    first, again = second(start_step=0)
    with store.transaction() as tx:
        stop_requests.request_stop(
            tx, again, StopRequest.CANCEL, reason="cancelled by ada", actor=Actor(name="ada")
        )
    end_with_pause(store, again)
    assert state_of(store, first.job_id) is JobState.CANCELLED
