"""Verdicts hold what they promise: intervals cover, tests err as seldom as they say, power is found."""

import math
import random
from collections import Counter

import pytest
from scipy import stats

from service.domain.studies.statistics import (
    FEWEST_PAIRS,
    Outcome,
    combine,
    correct_by_holm,
    count_needed,
    estimate,
    judge,
    mean_with_band,
)
from tests.properties import examples

MARGIN = 0.5


def draw(effect: float, *, pairs: int, seed: int) -> list[tuple[Outcome, Outcome]]:
    """Pairs whose differences are normal with standard deviation 1."""
    source = random.Random(seed)
    return [(Outcome(source.gauss(effect, 1.0)), Outcome(0.0)) for _ in range(pairs)]


def verdict_of(
    pairs: list[tuple[Outcome, Outcome]], *, expect: str = "higher", margin: float = MARGIN
) -> str:
    found = estimate(pairs, margin=margin)
    return judge(found, p=found.p, expect=expect, margin=margin, is_ratio=False)  # type: ignore[arg-type]


@pytest.mark.property
@pytest.mark.parametrize("pairs", [6, 10])
def test_the_interval_covers_the_truth_in_95_of_100_studies(pairs: int) -> None:
    studies = examples(4000, few=800)
    covered = 0
    for seed in range(studies):
        found = estimate(draw(0.3, pairs=pairs, seed=seed), margin=MARGIN)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
    slack = 3 * math.sqrt(0.95 * 0.05 / studies)
    assert 0.95 - slack <= covered / studies <= 0.95 + slack


@pytest.mark.property
def test_without_a_difference_at_most_5_of_100_studies_claim_one() -> None:
    studies = examples(4000, few=800)
    said = Counter(verdict_of(draw(0.0, pairs=10, seed=seed)) for seed in range(studies))
    wrong = said["confirmed"] + said["opposite"]
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.property
def test_a_difference_of_the_margin_is_called_equal_in_at_most_5_of_100_studies() -> None:
    studies = examples(4000, few=800)
    said = Counter(verdict_of(draw(1.0, pairs=10, seed=seed), margin=1.0) for seed in range(studies))
    assert said["equal"] / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.property
def test_one_standard_deviation_is_found_by_ten_pairs_in_75_of_100_studies() -> None:
    studies = examples(4000, few=800)
    said = Counter(verdict_of(draw(1.0, pairs=10, seed=seed)) for seed in range(studies))
    assert said["confirmed"] / studies >= 0.75
    assert said["opposite"] == 0


def test_the_estimate_is_scipys() -> None:
    first = [0.91, 0.93, 0.90, 0.95, 0.92, 0.94]
    second = [0.90, 0.90, 0.91, 0.92, 0.90, 0.93]
    found = estimate([(Outcome(a), Outcome(b)) for a, b in zip(first, second, strict=True)], margin=0.01)
    paired = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((paired.low, paired.high), abs=1e-12)
    # All 64 ways to flip six signs, by hand: those whose mean is at least as far from 0.
    differences = [a - b for a, b in zip(first, second, strict=True)]
    sums = [
        sum(d if bits >> place & 1 else -d for place, d in enumerate(differences)) for bits in range(2**6)
    ]
    extreme = sum(abs(total) >= abs(sum(differences)) - 1e-12 for total in sums)
    assert found.p == pytest.approx(extreme / 64)


def test_equal_is_what_two_one_sided_tests_say() -> None:
    pairs = draw(0.0, pairs=20, seed=1)
    found = estimate(pairs, margin=MARGIN)
    assert found.within is not None
    values = [first.value for first, _ in pairs]
    for margin, is_equal in ((found.within * 1.001, True), (found.within * 0.999, False)):
        below = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
        above = stats.ttest_1samp(values, margin, alternative="less").pvalue
        assert bool(max(below, above) <= 0.05) is is_equal


def test_fewer_than_six_pairs_never_give_a_verdict() -> None:
    pairs = [(Outcome(1.0 + place), Outcome(0.0)) for place in range(FEWEST_PAIRS - 1)]
    assert verdict_of(pairs) == "too weak"
    assert verdict_of([*pairs, (Outcome(9.0), Outcome(0.0))]) == "confirmed"


def test_runs_that_never_arrive_are_censored_and_not_dropped() -> None:
    quick = [Outcome(float(epochs)) for epochs in (3, 4, 3, 5, 4, 3)]
    never = [Outcome(20.0, is_censored=True)] * 6
    found = estimate(list(zip(quick, never, strict=True)), margin=1.2, is_ratio=True)
    assert (found.censored_first, found.censored_second) == (0, 6)
    assert (found.low, found.high) == (None, None)
    assert found.p == pytest.approx(2 / 2**6)
    assert judge(found, p=found.p, expect="lower", margin=1.2, is_ratio=True) == "confirmed"
    both = estimate(list(zip(never, never, strict=True)), margin=1.2, is_ratio=True)
    assert judge(both, p=both.p, expect="lower", margin=1.2, is_ratio=True) == "too weak"


def test_the_order_of_a_pair_is_known_only_where_it_was_seen() -> None:
    early = (Outcome(10.0, is_censored=True), Outcome(30.0))
    found = estimate([early] * 8, margin=1.2, is_ratio=True)
    assert (found.p, found.share_above) == (1.0, 0.5)


def test_the_direction_of_censored_runs_is_that_of_most_pairs() -> None:
    pairs = [(Outcome(21.0), Outcome(20.0))] * 9 + [(Outcome(3.0), Outcome(100.0, is_censored=True))]
    found = estimate(pairs, margin=1.01, is_ratio=True)
    assert (found.share_above, found.direction) == (0.9, "higher")
    assert judge(found, p=found.p, expect="lower", margin=1.01, is_ratio=True) == "opposite"


def test_equal_is_contradicted_only_beyond_the_margin() -> None:
    near = [(Outcome(-0.0072 + 0.006 * sign), Outcome(0.0)) for sign in (1, -1) * 5]
    assert verdict_of(near, expect="equal", margin=0.01) == "too weak"
    far = [(Outcome(-0.05 + 0.006 * sign), Outcome(0.0)) for sign in (1, -1) * 5]
    assert verdict_of(far, expect="equal", margin=0.01) == "opposite"


def test_a_claim_is_as_strong_as_its_weakest_part() -> None:
    assert combine(["confirmed", "confirmed"]) == "confirmed"
    assert combine(["confirmed", "too weak", "equal"]) == "too weak"
    assert combine(["confirmed", "opposite", "too weak"]) == "opposite"


def test_a_ratio_has_its_interval_on_the_logarithm() -> None:
    pairs = [(Outcome(a), Outcome(b)) for a, b in ((2, 12), (3, 17), (2, 13), (4, 20), (3, 18), (2, 11))]
    found = estimate(pairs, margin=1.5, is_ratio=True)
    logs = [math.log(first.value / second.value) for first, second in pairs]
    mean, low, high = mean_with_band(logs)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (math.exp(mean), math.exp(low), math.exp(high))
    )
    assert judge(found, p=found.p, expect="lower", margin=1.5, is_ratio=True) == "confirmed"
    assert judge(found, p=found.p, expect="higher", margin=1.5, is_ratio=True) == "opposite"


def test_equal_numbers_are_equal_whatever_the_margin() -> None:
    pairs = [(Outcome(0.7), Outcome(0.7))] * 6
    found = estimate(pairs, margin=1e-6)
    assert found.p == 1.0
    assert verdict_of(pairs, margin=1e-6) == "equal"
    assert verdict_of(pairs, expect="equal", margin=1e-6) == "confirmed"


def test_holm_corrects_the_smallest_most() -> None:
    corrected = correct_by_holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert corrected == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


@pytest.mark.parametrize(("pairs", "effect"), [(8, 1.16), (10, 1.00), (20, 0.66)])
def test_the_seeds_needed_are_those_of_the_power_tables(pairs: int, effect: float) -> None:
    assert count_needed(1 / effect) == pytest.approx(pairs, abs=1)
