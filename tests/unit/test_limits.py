"""One person's requests leave room for others'."""

from contextlib import ExitStack

import pytest

from service.api.limits import MOST_AT_ONCE, RateLimit, Shares
from service.errors import TooManyRequests


def test_slow_requests_of_one_person_leave_threads_for_others() -> None:
    shares = Shares()
    with ExitStack() as under_way:
        for _ in range(MOST_AT_ONCE):
            under_way.enter_context(shares.take("bob"))
        with pytest.raises(TooManyRequests, match="bob has"), shares.take("bob"):
            pytest.fail("one too many")
        with shares.take("ada"):
            pass
    with pytest.raises(ZeroDivisionError), shares.take("bob"):
        raise ZeroDivisionError
    assert not shares._busy


def test_a_bucket_fills_again_and_is_ones_own() -> None:
    now = 0.0
    limit = RateLimit(per_second=2, seconds=lambda: now)
    for _ in range(4):
        limit.take("bob")
    with pytest.raises(TooManyRequests):
        limit.take("bob")
    limit.take("ada")
    now += 0.5
    limit.take("bob")
