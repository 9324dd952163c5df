"""What a trainer's end means, where somebody had asked for it."""

import pytest

from service.domain.states import Cause, Outcome, StopRequest
from service.domain.trainer_events import Ended
from workers.attempts.ending import infer_ending

FINAL_EVENT = Ended(outcome=Outcome.INTERRUPTED, reason="received SIGTERM; stopped after step 7")


@pytest.mark.parametrize("stop_request", [StopRequest.PAUSE, StopRequest.PREEMPT])
@pytest.mark.parametrize("final_event", [FINAL_EVENT, None])
def test_who_was_asked_to_pause_or_give_way_was_interrupted_also_when_it_had_to_be_killed(
    stop_request: StopRequest, final_event: Ended | None
) -> None:
    ending = infer_ending(final_event, None, stop_request=stop_request, closing=False)
    assert (ending.outcome, ending.cause) == (Outcome.INTERRUPTED, None)
    assert ("stopped after step 7" if final_event else "killed after the grace time") in ending.reason


@pytest.mark.parametrize("final_event", [FINAL_EVENT, None])
def test_who_was_cancelled_is_cancelled(final_event: Ended | None) -> None:
    assert (
        infer_ending(final_event, None, stop_request=StopRequest.CANCEL, closing=False).outcome
        is Outcome.CANCELLED
    )


def test_a_cause_that_only_a_newer_trainer_knows_is_an_error() -> None:
    ending = infer_ending(
        Ended(outcome=Outcome.FAILED, reason="x", cause="new"), None, stop_request=None, closing=False
    )
    assert (ending.outcome, ending.cause, ending.reason) == (Outcome.FAILED, Cause.ERROR, "x")


@pytest.mark.parametrize("stop_request", StopRequest)
def test_a_trainer_that_came_to_its_end_before_it_heard_has_its_own_outcome(
    stop_request: StopRequest,
) -> None:
    done = infer_ending(
        Ended(outcome=Outcome.SUCCEEDED, reason=""), None, stop_request=stop_request, closing=False
    )
    failed = infer_ending(
        Ended(outcome=Outcome.FAILED, reason="x", cause="nan_loss"),
        None,
        stop_request=stop_request,
        closing=False,
    )
    assert done.outcome is Outcome.SUCCEEDED
    assert (failed.outcome, failed.cause) == (Outcome.FAILED, Cause.NAN_LOSS)
