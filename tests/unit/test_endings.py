"""What a trainer's end means, where somebody had asked for it."""

import pytest

from service.domain.endings import NO_SPACE, Ending, TrainerReport, infer_ending
from service.domain.states import Cause, Outcome, StopRequest
from service.domain.trainer_events import Ended

FINAL_EVENT = Ended(outcome=Outcome.INTERRUPTED, reason="received SIGTERM; stopped after step 7")
DONE = Ended(outcome=Outcome.SUCCEEDED, reason="")
REMOVED = Ending(outcome=Outcome.LOST, cause=Cause.KILLED, reason="its folder was removed")


@pytest.mark.parametrize("stop_request", [StopRequest.PAUSE, StopRequest.PREEMPT])
@pytest.mark.parametrize("final_event", [FINAL_EVENT, None])
def test_who_was_asked_to_pause_or_give_way_was_interrupted_also_when_it_had_to_be_killed(
    stop_request: StopRequest, final_event: Ended | None
) -> None:
    report = TrainerReport(final_event=final_event, exit_status=-9, told_to_stop=True)
    ending = infer_ending(report, stop_request=stop_request)
    assert (ending.outcome, ending.cause) == (Outcome.INTERRUPTED, None)
    assert ("stopped after step 7" if final_event else "killed after the grace time") in ending.reason


@pytest.mark.parametrize("final_event", [FINAL_EVENT, None])
def test_who_was_cancelled_is_cancelled(final_event: Ended | None) -> None:
    report = TrainerReport(final_event=final_event)
    assert infer_ending(report, stop_request=StopRequest.CANCEL).outcome is Outcome.CANCELLED


def test_a_cause_that_only_a_newer_trainer_knows_is_an_error() -> None:
    event = Ended(outcome=Outcome.FAILED, reason="x", cause="new")
    ending = infer_ending(TrainerReport(final_event=event), stop_request=None)
    assert (ending.outcome, ending.cause, ending.reason) == (Outcome.FAILED, Cause.ERROR, "x")


@pytest.mark.parametrize("stop_request", StopRequest)
def test_a_trainer_that_came_to_its_end_before_it_heard_has_its_own_outcome(
    stop_request: StopRequest,
) -> None:
    done = TrainerReport(final_event=Ended(outcome=Outcome.SUCCEEDED, reason=""))
    failed = TrainerReport(final_event=Ended(outcome=Outcome.FAILED, reason="x", cause="nan_loss"))
    assert infer_ending(done, stop_request=stop_request).outcome is Outcome.SUCCEEDED
    ending = infer_ending(failed, stop_request=stop_request)
    assert (ending.outcome, ending.cause) == (Outcome.FAILED, Cause.NAN_LOSS)


@pytest.mark.parametrize(
    ("report", "outcome", "cause", "words"),
    [
        (TrainerReport(exit_status=-9), Outcome.LOST, Cause.KILLED, "memory runs out"),
        (TrainerReport(exit_status=-11), Outcome.LOST, Cause.KILLED, "signal 11"),
        (TrainerReport(exit_status=1), Outcome.LOST, Cause.KILLED, "exit status 1"),
        (TrainerReport(exit_status=NO_SPACE), Outcome.FAILED, Cause.DISK_FULL, "the disk is full"),
        (TrainerReport(adopted=True), Outcome.LOST, Cause.LOST_HOST, "when its worker came back"),
        (TrainerReport(exit_status=-9, told_to_stop=True), Outcome.INTERRUPTED, None, "grace time"),
        (TrainerReport(exit_status=-9, failure=REMOVED), Outcome.LOST, Cause.KILLED, "removed"),
        (TrainerReport(final_event=DONE, failure=REMOVED), Outcome.SUCCEEDED, None, ""),
        (TrainerReport(without_trainer=REMOVED), Outcome.LOST, Cause.KILLED, "removed"),
    ],
)
def test_what_an_end_means_that_nobody_asked_for(
    report: TrainerReport, outcome: Outcome, cause: Cause | None, words: str
) -> None:
    ending = infer_ending(report, stop_request=None)
    assert (ending.outcome, ending.cause) == (outcome, cause)
    assert words in ending.reason


@pytest.mark.parametrize("stop_request", [StopRequest.PAUSE, StopRequest.PREEMPT])
def test_a_request_that_came_after_the_failure_does_not_hide_it(stop_request: StopRequest) -> None:
    full, removed = TrainerReport(exit_status=NO_SPACE), TrainerReport(exit_status=-9, failure=REMOVED)
    assert infer_ending(full, stop_request=stop_request).cause is Cause.DISK_FULL
    assert infer_ending(removed, stop_request=stop_request) == REMOVED
