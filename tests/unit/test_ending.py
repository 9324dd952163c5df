"""What a trainer's end means, where somebody had asked for it."""

import pytest

from service.domain.states import Cause, Outcome, Wish
from workers.attempts.ending import judge

LAST_WORD = {"kind": "ended", "outcome": "interrupted", "reason": "received SIGTERM; stopped after step 7"}


@pytest.mark.parametrize("wish", [Wish.PAUSE, Wish.PREEMPT])
@pytest.mark.parametrize("last_word", [LAST_WORD, None])
def test_who_was_asked_to_pause_or_give_way_was_interrupted_also_when_it_had_to_be_killed(
    wish: Wish, last_word: dict[str, str] | None
) -> None:
    ending = judge(last_word, None, wish=wish, closing=False)
    assert (ending.outcome, ending.cause) == (Outcome.INTERRUPTED, None)
    assert ("stopped after step 7" if last_word else "killed after the grace time") in ending.reason


@pytest.mark.parametrize("last_word", [LAST_WORD, None])
def test_who_was_cancelled_is_cancelled(last_word: dict[str, str] | None) -> None:
    assert judge(last_word, None, wish=Wish.CANCEL, closing=False).outcome is Outcome.CANCELLED


def test_a_cause_that_only_a_newer_trainer_knows_is_an_error() -> None:
    ending = judge({"outcome": "failed", "reason": "x", "cause": "new"}, None, wish=None, closing=False)
    assert (ending.outcome, ending.cause, ending.reason) == (Outcome.FAILED, Cause.ERROR, "x")


@pytest.mark.parametrize("wish", Wish)
def test_a_trainer_that_came_to_its_end_before_it_heard_has_its_own_outcome(wish: Wish) -> None:
    done = judge({"outcome": "succeeded", "reason": ""}, None, wish=wish, closing=False)
    failed = judge({"outcome": "failed", "reason": "x", "cause": "nan_loss"}, None, wish=wish, closing=False)
    assert done.outcome is Outcome.SUCCEEDED
    assert (failed.outcome, failed.cause) == (Outcome.FAILED, Cause.NAN_LOSS)
