"""Says in a sentence what a contrast came to."""

import math
from collections import Counter
from collections.abc import Sequence

from cnnctl.views.studies import ContrastView, Verdict
from service.domain.studies.definition import Contrast
from service.domain.studies.statistics import FEWEST_PAIRS, MOST_SEEDS, SIGNIFICANT, Estimate, combine


def say_claim(parts: Sequence[ContrastView]) -> str:
    """The verdict on a claim: of its only part, or how many of its parts came to what."""
    if len(parts) == 1:
        return parts[0].words
    headline = find_headline(parts)
    counts = Counter(part.verdict for part in parts)
    count = counts.pop(headline.verdict)
    every = "both" if len(parts) == 2 else f"all {len(parts)}"
    share = f"{every} parts" if count == len(parts) else f"{count} of {len(parts)} parts"
    others = "".join(f", {verdict} in {number}" for verdict, number in counts.items())
    return f"{headline.verdict.capitalize()} in {share}{others}. {headline.words}"


def find_headline(contrasts: Sequence[ContrastView]) -> ContrastView:
    """The contrast that decides on the claim: the first of its weakest parts."""
    parts = [one for one in contrasts if not one.aside]
    worst = combine([part.verdict for part in parts])
    return next(part for part in parts if part.verdict == worst)


def say_verdict(contrast: Contrast, found: Estimate, verdict: Verdict, *, p: float) -> str:
    """The verdict with its size and uncertainty; `p` is the corrected one."""
    if found.pairs == 0:
        return "Too weak: no pair of runs has ended with this metric."
    arms = f"{contrast.metric} of {contrast.first}"
    margin = f"{contrast.margin:g} times" if contrast.ratio else f"{contrast.margin:g}"
    if verdict == "equal" or (verdict == "confirmed" and contrast.expect == "equal"):
        word = "Confirmed" if verdict == "confirmed" else "Equal"
        size = _say_size(contrast, found, share=90)  # that which decides: two one-sided tests at 5 %
        return f"{word}: {arms} is that of {contrast.second} within {margin}: {size}, {found.pairs} pairs."
    sure = f"{_say_size(contrast, found)}, {found.pairs} pairs, p = {p:.2g}"
    than = f"{found.direction} than that of {contrast.second}"
    if verdict != "too weak":
        return f"{verdict.capitalize()}: {arms} is {than}: {sure}."
    if contrast.expect == "equal" and p <= SIGNIFICANT:
        unsure = f"but whether by more than {margin} is not sure"
        return f"Too weak: {arms} is {than}, {unsure}: {sure}. {_say_needed(found)}"
    return f"Too weak: {arms} against {contrast.second}: {sure}. {_say_needed(found)}"


def format_size(value: float, *, margin: float, ratio: bool) -> str:
    """A difference with as many digits as its margin makes sense of; a ratio with three."""
    if ratio:
        return f"{value:.3g}"
    return f"{value:+,.{max(0, 2 - math.floor(math.log10(margin)))}f}"


def _say_needed(found: Estimate) -> str:
    if found.pairs < FEWEST_PAIRS:
        return f"A verdict needs {FEWEST_PAIRS} pairs at least."
    if found.needed is None:
        return "Nothing is known of how many seeds would be enough."
    if found.needed <= found.pairs:
        return "It lies near the margin: more seeds may tell on which side."
    about = f"More than {MOST_SEEDS:,}" if found.needed >= MOST_SEEDS else f"About {found.needed:,}"
    return f"{about} seeds are needed to find a difference as large as the margin."


def _say_size(contrast: Contrast, found: Estimate, *, share: int = 95) -> str:
    """The size with its interval, of a share in percent: 95, or 90 of arms that are equal."""

    def form(value: float) -> str:
        return format_size(value, margin=contrast.margin, ratio=contrast.ratio)

    never = [
        f"{count} of {found.pairs} runs of {arm} never arrived"
        for arm, count in ((contrast.first, found.censored_first), (contrast.second, found.censored_second))
        if count
    ]
    size = f"{form(found.mean)} times" if contrast.ratio else form(found.mean)
    if never:
        return f"{size} if those that never arrived had with their last epoch ({'; '.join(never)})"
    if found.low is None or found.high is None:
        return size
    if found.low == found.high:
        return f"exactly {size} in each pair"
    low, high = (found.low, found.high) if share == 95 else _find_deciding_interval(contrast, found)
    return f"{size} ({share} % interval {form(low)} to {form(high)})"


def _find_deciding_interval(contrast: Contrast, found: Estimate) -> tuple[float, float]:
    """The 90 % interval: it lies around the mean, and reaches as far from none as `within`."""
    assert found.within is not None
    if contrast.ratio:
        mean, reach = math.log(found.mean), math.log(found.within)
        return math.exp(mean - (reach - abs(mean))), math.exp(mean + (reach - abs(mean)))
    half = found.within - abs(found.mean)
    return found.mean - half, found.mean + half
