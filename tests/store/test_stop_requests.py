"""Pausing and preempting jobs that run: what was wished holds, whatever ends the attempt."""

from collections.abc import Callable

import pytest

from service.commands.jobs.control import cancel, hold, pause, resume
from service.domain.endings import TrainerReport
from service.domain.jobs import Attempt, Job, JobId
from service.domain.people import SCHEDULER
from service.domain.states import Action, Cause, JobState, Outcome, StopRequest
from service.errors import JobConflict
from service.store.fleet import leases
from service.store.jobs import attempts, jobs, stop_requests
from service.store.jobs.endings import end_attempt, end_reported
from service.store.people import audit
from service.store.transaction import Store
from tests.conftest import ADA, HOST, place

Claim = Callable[..., Attempt]
FOR_ANOTHER = "preempted for job 12 of grace"


def end(store: Store, attempt: Attempt, outcome: Outcome, cause: Cause | None = None) -> Job:
    with store.transaction() as tx:
        assert end_attempt(tx, attempt, outcome, cause=cause, reason="why", actor=SCHEDULER, retry_limit=0)
        return jobs.get_job(tx, attempt.job_id)


def last_event(store: Store, job_id: JobId) -> tuple[Action, str]:
    with store.reading() as tx:
        event = audit.list_entries(tx, job_id)[-1]
    return event.action, event.detail


def preempt(store: Store, job_id: JobId) -> bool:
    with store.transaction() as tx:
        return stop_requests.request_preemption(tx, job_id, reason=FOR_ANOTHER, actor=SCHEDULER)


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [(Outcome.INTERRUPTED, None), (Outcome.LOST, Cause.KILLED), (Outcome.FAILED, Cause.DEVICE_ERROR)],
)
def test_a_paused_job_rests_whatever_ended_its_attempt(
    store: Store, claimed: Claim, outcome: Outcome, cause: Cause | None
) -> None:
    attempt = claimed()
    assert pause(store, attempt.job_id, actor=ADA) is JobState.RUNNING
    assert last_event(store, attempt.job_id) == (Action.PAUSE_REQUESTED, "paused by ada")
    with pytest.raises(JobConflict, match="cannot be resumed: it is running"):
        resume(store, attempt.job_id, actor=ADA)
    job = end(store, attempt, outcome, cause)
    words = f"paused by ada; cnnctl resume {job.id}"
    assert (job.state, job.reason, job.lost_attempts) == (JobState.PAUSED, words, 0)
    assert last_event(store, job.id) == (Action.PAUSED, words)


@pytest.mark.parametrize(("stop_request", "state"), [(cancel, JobState.CANCELLED), (pause, JobState.PAUSED)])
def test_a_request_that_the_worker_had_not_heard_of_counts(
    store: Store, claimed: Claim, stop_request: Callable[..., JobState], state: JobState
) -> None:
    attempt = claimed()
    stop_request(store, attempt.job_id, actor=ADA)
    report = TrainerReport(exit_status=-9)  # as the worker knows it: nobody asked for anything
    with store.transaction() as tx:
        assert end_reported(tx, attempt, report, actor=SCHEDULER, retry_limit=0)
        assert jobs.get_job(tx, attempt.job_id).state is state
        assert end_reported(tx, attempt, report, actor=SCHEDULER, retry_limit=0) is None


def test_a_pause_that_came_too_late_changes_nothing(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    pause(store, attempt.job_id, actor=ADA)
    assert end(store, attempt, Outcome.SUCCEEDED).state is JobState.SUCCEEDED
    with pytest.raises(JobConflict, match="already succeeded"):
        pause(store, attempt.job_id, actor=ADA)


def test_a_running_job_is_not_held_but_can_be_paused(store: Store, claimed: Claim) -> None:
    number = claimed().job_id
    with pytest.raises(JobConflict, match=rf"it is running. .*: cnnctl pause {number}"):
        hold(store, number, actor=ADA)


def test_a_job_that_nobody_has_claimed_yet_is_paused_or_preempted_at_once(
    store: Store, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host()
    number = add_job()
    for act, state in ((preempt, JobState.QUEUED), (lambda s, n: pause(s, n, actor=ADA), JobState.PAUSED)):
        with store.transaction() as tx:
            place(tx, number, f"{HOST}-0")
        assert act(store, number)
        with store.reading() as tx:
            assert jobs.get_job(tx, number).state is state
            assert leases.list_holders(tx) == {}


def test_a_preempted_job_is_queued_again_and_the_audit_says_for_whom(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    assert preempt(store, attempt.job_id)
    assert last_event(store, attempt.job_id) == (Action.PREEMPT_REQUESTED, FOR_ANOTHER)
    job = end(store, attempt, Outcome.INTERRUPTED)
    words = f"{FOR_ANOTHER}; waits to continue from its newest checkpoint"
    assert (job.state, job.reason, job.preemptions) == (JobState.QUEUED, words, 1)
    assert last_event(store, job.id) == (Action.PREEMPTED, words)
    assert not preempt(store, job.id)


def test_an_attempt_that_dies_while_it_is_preempted_is_lost_as_any_other(
    store: Store, claimed: Claim
) -> None:
    attempt = claimed()
    preempt(store, attempt.job_id)
    job = end(store, attempt, Outcome.LOST, Cause.LOST_HOST)
    assert (job.state, job.lost_attempts, job.preemptions) == (JobState.FAILED, 1, 0)


def test_a_stronger_wish_takes_the_place_of_a_weaker_one_and_never_the_other_way(
    store: Store, claimed: Claim
) -> None:
    attempt = claimed()
    number = attempt.job_id
    assert preempt(store, number)
    pause(store, number, actor=ADA)
    assert not preempt(store, number)
    cancel(store, number, actor=ADA)
    assert not preempt(store, number)
    with pytest.raises(JobConflict, match="is being cancelled"):
        pause(store, number, actor=ADA)
    cancel(store, number, actor=ADA)
    with store.reading() as tx:
        assert attempts.get_attempt(tx, attempt.id).stop_request is StopRequest.CANCEL
    assert end(store, attempt, Outcome.INTERRUPTED).state is JobState.CANCELLED
