"""Says in a sentence what a contrast came to."""

from cnnctl.views.studies import Verdict
from service.domain.studies.definition import Contrast
from service.domain.studies.statistics import FEWEST_PAIRS, Estimate


def say_verdict(contrast: Contrast, found: Estimate, verdict: Verdict, *, p: float) -> str:
    """The verdict with its size and uncertainty; `p` is the corrected one."""
    if found.pairs == 0:
        return "Too weak: no pair of runs has ended with this metric."
    return f"{_say(contrast, found, verdict)} {_say_size(contrast, found)}, {found.pairs} pairs, p = {p:.2g}."


def _say(contrast: Contrast, found: Estimate, verdict: Verdict) -> str:
    arms = f"{contrast.metric} of {contrast.first}"
    margin = _times(contrast.margin) if contrast.ratio else f"{contrast.margin:g}"
    none = 1.0 if contrast.ratio else 0.0
    direction = "higher" if found.mean > none else "lower"
    if verdict == "equal" or (verdict == "confirmed" and contrast.expect == "equal"):
        word = "Confirmed" if verdict == "confirmed" else "Equal"
        return f"{word}: {arms} is that of {contrast.second} within {margin}:"
    if verdict == "too weak":
        return f"Too weak: {_say_needed(found)} {arms} against {contrast.second}:"
    word = "Confirmed" if verdict == "confirmed" else "Opposite"
    return f"{word}: {arms} is {direction} than of {contrast.second}:"


def _say_needed(found: Estimate) -> str:
    if found.pairs < FEWEST_PAIRS:
        return f"a verdict needs {FEWEST_PAIRS} pairs at least."
    if found.needed is None:
        return "no difference and no margin can be told apart."
    if found.needed <= found.pairs:
        return "a difference near the margin: it is neither certain nor certainly small."
    return f"about {found.needed:,} seeds are needed to find a difference of the margin."


def _say_size(contrast: Contrast, found: Estimate) -> str:
    never = [
        f"{count} of {found.pairs} runs of {arm} never arrived"
        for arm, count in ((contrast.first, found.censored_first), (contrast.second, found.censored_second))
        if count
    ]
    size = f"{_times(found.mean)}" if contrast.ratio else f"{found.mean:+.4g}"
    if never:
        return f"{size}, counting runs that never arrived with all their epochs ({'; '.join(never)})"
    if found.low is None or found.high is None:
        return size
    low, high = (
        (f"{found.low:.3g}", f"{found.high:.3g}")
        if contrast.ratio
        else (f"{found.low:+.4g}", f"{found.high:+.4g}")
    )
    return f"{size} (95 % interval {low} to {high})"


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times"
