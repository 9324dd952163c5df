"""Says in a sentence what a contrast came to."""

import math
from collections.abc import Sequence

from cnnctl.views.studies import ContrastView, Verdict
from service.domain.studies.definition import Contrast
from service.domain.studies.statistics import FEWEST_PAIRS, MOST_SEEDS, Estimate, combine


def say_claim(parts: Sequence[ContrastView]) -> str:
    """The verdict on a claim: of its only part, or how many of its parts came to what."""
    if len(parts) == 1:
        return parts[0].words
    worst = combine([part.verdict for part in parts])
    count = sum(part.verdict == worst for part in parts)
    share = f"all {len(parts)} parts" if count == len(parts) else f"{count} of {len(parts)} parts"
    example = next(part.words for part in parts if part.verdict == worst)
    return f"{worst.capitalize()} in {share}. {example}"


def say_verdict(contrast: Contrast, found: Estimate, verdict: Verdict, *, p: float) -> str:
    """The verdict with its size and uncertainty; `p` is the corrected one."""
    if found.pairs == 0:
        return "Too weak: no pair of runs has ended with this metric."
    sure = f"{_say_size(contrast, found)}, {found.pairs} pairs, p = {p:.2g}"
    arms = f"{contrast.metric} of {contrast.first}"
    if verdict == "too weak":
        return f"Too weak: {arms} against {contrast.second}: {sure}. {_say_needed(found)}"
    if verdict == "equal" or (verdict == "confirmed" and contrast.expect == "equal"):
        word = "Confirmed" if verdict == "confirmed" else "Equal"
        margin = f"{contrast.margin:g} times" if contrast.ratio else f"{contrast.margin:g}"
        return f"{word}: {arms} is that of {contrast.second} within {margin}: {sure}."
    return f"{verdict.capitalize()}: {arms} is {found.direction} than that of {contrast.second}: {sure}."


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


def _say_size(contrast: Contrast, found: Estimate) -> str:
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
    return f"{size} (95 % interval {form(found.low)} to {form(found.high)})"
