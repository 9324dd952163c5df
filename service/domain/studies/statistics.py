"""How far apart two arms are, and what may be said of it: paired by seed, with SciPy, which is imported late.

Why these: Student's t covers what it promises from five pairs on, where the percentile bootstrap does not;
the sign-flip test is exact. Bouthillier et al., Accounting for variance in machine learning benchmarks,
MLSys 2021; Schuirmann, J. Pharmacokinet. Biopharm. 1987, for the two one-sided tests; Holm, Scand. J.
Statist. 1979.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnnctl.views.studies import Expectation, Verdict
from service.domain.student import find_deviation, find_half_width, find_mean
from service.errors import MissingExtra

WEAKEST_LAST: Sequence[Verdict] = ("confirmed", "equal", "too weak", "opposite")
FEWEST_PAIRS = 6  # five cannot reach p < 0.05 by the signs of their differences
SIGNIFICANT = 0.05
POWER = 0.8
EXACT_FLIPS = 2**16  # of the signs; more pairs than 16 are flipped at random as often
FLIPS_AT_ONCE = 1024  # so that 1,000 pairs take 8 MB
MOST_SEEDS = 10_000  # that are ever said to be needed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to."""

    value: float
    is_censored: bool = False
    """The run ended before the event: the true number of epochs is above `value`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The difference of two arms, first minus second, or their ratio, first over second."""

    pairs: int
    mean: float
    """The mean difference, or the geometric mean of ratios; a bound if runs are censored."""
    low: float | None
    """Of the 95 % interval; None where runs are censored."""
    high: float | None
    within: float | None
    """The smallest margin within which the arms are equal at 5 %: see `_equal_within`."""
    p: float
    """Exact and two-sided; 1 with no pair."""
    share_above: float
    """The share of pairs whose first run is above its second; ties count half."""
    censored_first: int
    censored_second: int
    direction: Literal["higher", "lower"]
    """Of the first: by the mean, or where runs are censored by the order of most pairs."""
    needed: int | None
    """Pairs with which a difference of the margin is found with a power of 0.8; None: no spread was seen."""


def estimate(pairs: Sequence[tuple[Outcome, Outcome]], *, margin: float, is_ratio: bool = False) -> Estimate:
    """Estimate the difference of paired runs (first, second), in units of the metric.

    With `is_ratio`, values are positive, and `margin` is a factor above 1.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    differences = [_difference(first.value, second.value, is_ratio=is_ratio) for first, second in pairs]
    margin = math.log(margin) if is_ratio else margin
    censored = sum(first.is_censored for first, _ in pairs), sum(second.is_censored for _, second in pairs)
    count = len(differences)
    mean = find_mean(differences) if count else 0.0
    spread = find_deviation(differences, mean)
    interval = _interval(mean, spread, count, share=1 - SIGNIFICANT) if count > 1 else None
    if any(censored):
        interval = None
    scale = math.exp if is_ratio else float
    share_above = _share_above(pairs)
    return Estimate(
        pairs=count,
        mean=scale(mean),
        low=scale(interval[0]) if interval else None,
        high=scale(interval[1]) if interval else None,
        within=scale(_equal_within(mean, spread, count)) if interval else None,
        p=_sign_test(pairs) if any(censored) else _sign_flip_test(differences),
        share_above=share_above,
        direction="higher" if (share_above > 0.5 if any(censored) else mean > 0) else "lower",
        censored_first=censored[0],
        censored_second=censored[1],
        needed=None if any(censored) else count_needed(spread / margin),
    )


def judge(estimate: Estimate, *, p: float, expect: Expectation, margin: float, is_ratio: bool) -> Verdict:
    """What may be said; `p` is the estimate's own after Holm's correction.

    Equal comes first: a difference that is certain and too small to matter is no support of a claim.
    """
    if estimate.pairs < FEWEST_PAIRS:
        return "too weak"
    if estimate.within is not None and estimate.within <= margin:
        return "confirmed" if expect == "equal" else "equal"
    if expect == "equal":
        lower = 1 / margin if is_ratio else -margin
        return "opposite" if _lies_beyond(estimate, margin, lower) else "too weak"
    none = 1.0 if is_ratio else 0.0
    is_apart = estimate.low is None or not estimate.low <= none <= (estimate.high or none)
    if p > SIGNIFICANT or not is_apart:
        return "too weak"
    return "confirmed" if expect == estimate.direction else "opposite"


def _lies_beyond(estimate: Estimate, upper: float, lower: float) -> bool:
    """Whether the whole interval is beyond the margin, on one side."""
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low > upper or estimate.high < lower


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim of several parts: that of its weakest part."""
    return max(verdicts, key=WEAKEST_LAST.index)


def correct_by_holm(p_values: Mapping[str, float]) -> Mapping[str, float]:
    """Holm's correction: each p such that all comparisons together err with 5 %."""
    largest, corrected = 0.0, {}
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, p * (len(p_values) - rank)))
        corrected[name] = largest
    return corrected


def count_least_pairs(contrasts: int) -> int:
    """The fewest pairs with which Holm's correction lets the smallest exact p of so many pass."""
    pairs = FEWEST_PAIRS
    while contrasts * 2 / 2**pairs > SIGNIFICANT:
        pairs += 1
    return pairs


def count_needed(spread: float) -> int | None:
    """Pairs with which a t-test finds a difference with a power of 0.8; `spread` is in units of it."""
    stats = _import_stats()
    if spread == 0:
        return None
    low, high = FEWEST_PAIRS, MOST_SEEDS
    while low < high:  # the power grows with the pairs
        count = (low + high) // 2
        critical = stats.t.ppf(1 - SIGNIFICANT / 2, count - 1)
        power = stats.nct.sf(critical, count - 1, math.sqrt(count) / spread)
        low, high = (low, count) if power >= POWER else (count + 1, high)
    return low


def mean_with_band(values: Sequence[float]) -> tuple[float, float, float]:
    """A mean and both ends of its 95 % interval; of one value all three are that value."""
    mean = find_mean(values)
    if len(values) < 2:
        return mean, mean, mean
    return mean, *_interval(mean, find_deviation(values, mean), len(values), share=1 - SIGNIFICANT)


def spread_equal(values: Sequence[float], *, most: int = 7) -> Sequence[float]:
    """By how many dots to move each value aside, so that those that would lie on each other can be counted.

    Values count as equal within a hundredth of their range; of more than `most` some still coincide.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    step = (high - low) / 100 or 1.0
    places = [round((value - low) / step) for value in values]
    counts, seen = Counter(places), Counter[int]()
    offsets = []
    for place in places:
        offsets.append(seen[place] % most - (min(counts[place], most) - 1) / 2)
        seen[place] += 1
    return offsets


def _difference(first: float, second: float, *, is_ratio: bool) -> float:
    return math.log(first / second) if is_ratio else first - second


def _interval(mean: float, spread: float, count: int, *, share: float) -> tuple[float, float]:
    """Student's confidence interval of a mean."""
    half = find_half_width(spread, count, share=share)
    return mean - half, mean + half


def _equal_within(mean: float, spread: float, count: int) -> float:
    """The least margin at which both one-sided t-tests reject a larger difference at 5 %."""
    low, high = _interval(mean, spread, count, share=1 - 2 * SIGNIFICANT)
    return max(-low, high)


def _sign_flip_test(differences: Sequence[float]) -> float:
    """Exact p of a mean difference, if each difference could as well have had the other sign."""
    if len(differences) < 2 or not any(differences):
        return 1.0
    stats = _import_stats()
    found = stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=EXACT_FLIPS,
        batch=FLIPS_AT_ONCE,
        rng=0,
    )
    return float(found.pvalue)


def _sign_test(pairs: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Exact p by the order within each pair, which is known even if one of the two is censored."""
    orders = [order for pair in pairs if (order := _order(pair))]
    if not orders:
        return 1.0
    return float(_import_stats().binomtest(orders.count(1), len(orders)).pvalue)


def _order(pair: tuple[Outcome, Outcome]) -> int:
    """1 if the first is above the second, -1 if below, 0 if that is not known or neither."""
    first, second = pair
    if first.is_censored or second.is_censored:
        if first.is_censored and not second.is_censored and first.value >= second.value:
            return 1
        if second.is_censored and not first.is_censored and second.value >= first.value:
            return -1
        return 0
    return (first.value > second.value) - (first.value < second.value)


def _share_above(pairs: Sequence[tuple[Outcome, Outcome]]) -> float:
    return sum((1 + _order(pair)) / 2 for pair in pairs) / len(pairs) if pairs else 0.5


def _import_stats() -> Any:  # SciPy has no types
    try:
        from scipy import stats  # imported late: 0.8 s
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"Verdicts need a package that is not installed: {error.name}. "
            "Install it with: pip install 'cnnctl[api]'"
        ) from None
    return stats
