"""The state machines hang together."""

from service.domain.states import (
    ATTEMPT_TRANSITIONS,
    FINISHED,
    JOB_STATE_AFTER,
    JOB_TRANSITIONS,
    RETRYABLE,
    AttemptState,
    JobState,
    Outcome,
)


def test_every_state_has_its_transitions_and_can_be_reached() -> None:
    assert set(JOB_TRANSITIONS) == set(JobState)
    assert set(ATTEMPT_TRANSITIONS) == set(AttemptState)
    assert {JobState.QUEUED}.union(*JOB_TRANSITIONS.values()) == set(JobState)
    assert {AttemptState.DISPATCHED}.union(*ATTEMPT_TRANSITIONS.values()) == set(AttemptState)


def test_a_finished_job_moves_only_by_a_retry() -> None:
    for state in FINISHED:
        assert JOB_TRANSITIONS[state] == ({JobState.QUEUED} if state in RETRYABLE else set())


def test_every_outcome_leads_where_a_running_job_may_go() -> None:
    assert set(JOB_STATE_AFTER) == set(Outcome)
    assert set(JOB_STATE_AFTER.values()) <= JOB_TRANSITIONS[JobState.RUNNING]


def test_an_attempt_can_end_at_any_time() -> None:
    for state in set(AttemptState) - {AttemptState.ENDED}:
        assert AttemptState.ENDED in ATTEMPT_TRANSITIONS[state]
