"""What a contrast came to is said such that nobody has to read it twice."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from service.domain.studies.definition import Contrast
from service.domain.studies.statistics import Outcome, estimate, spread_equal
from service.domain.studies.words import find_headline, say_claim, say_verdict
from tests.unit.test_study_pictures import CONTRAST

FIELDS: Mapping[str, Any] = {"first": "a", "second": "b", "metric": "test_accuracy", "expect": "equal"}


def test_what_decides_on_a_claim_of_several_parts_is_said_with_the_others() -> None:
    found = replace(CONTRAST, verdict="confirmed", words="Confirmed: a.")
    weak = replace(CONTRAST, verdict="too weak", words="Too weak: b.")
    aside = replace(CONTRAST, verdict="opposite", words="Opposite: c.", aside=True)
    assert say_claim([found, weak, found]) == "Too weak in 1 of 3 parts, confirmed in 2. Too weak: b."
    assert say_claim([found, found]) == "Confirmed in both parts. Confirmed: a."
    assert find_headline([found, aside, weak]) is weak


@pytest.mark.parametrize("ratio", [False, True])
def test_arms_are_called_equal_by_the_interval_that_decides(*, ratio: bool) -> None:
    logs = [0.01, -0.02, 0.03, 0.0, 0.02, -0.01]
    pairs = [(Outcome(math.exp(one) if ratio else one), Outcome(1.0 if ratio else 0.0)) for one in logs]
    margin = 1.25 if ratio else 0.2
    contrast = Contrast(**FIELDS, margin=margin, ratio=ratio)
    words = say_verdict(contrast, estimate(pairs, margin=margin, is_ratio=ratio), "confirmed", p=1.0)
    low, high = stats.t.interval(0.9, 5, loc=np.mean(logs), scale=stats.sem(logs))
    said = [f"{math.exp(end):.3g}" if ratio else f"{end:+.3f}" for end in (low, high)]
    assert f"(90 % interval {said[0]} to {said[1]})" in words


def test_a_clear_difference_is_said_although_its_size_is_unsure() -> None:
    pairs = [(Outcome(0.9 - 0.002 * seed), Outcome(0.91)) for seed in range(10)]
    contrast = Contrast(**FIELDS, margin=0.02)
    words = say_verdict(contrast, estimate(pairs, margin=0.02), "too weak", p=0.002)
    assert "test_accuracy of a is lower than that of b, but whether by more than 0.02 is not sure" in words


def test_dots_that_would_lie_on_each_other_lie_beside_each_other() -> None:
    assert spread_equal([1.0, 0.0, 1.0, 1.001]) == [-1.0, 0.0, 0.0, 1.0]
    assert spread_equal([2.0, 2.0]) == [-0.5, 0.5]
    assert spread_equal([3.0] * 4, most=2) == [-0.5, 0.5, -0.5, 0.5]
    assert spread_equal([]) == []
