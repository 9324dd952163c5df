"""Student's confidence interval of a mean; SciPy is imported late."""

import math
from collections.abc import Sequence
from functools import cache

from service.errors import MissingExtra

SHARE = 0.95  # of intervals that hold the true mean
SMALLEST_SPREAD = 1e-12  # relative: sums of equal numbers differ by their rounding


def find_mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def find_deviation(values: Sequence[float], mean: float) -> float:
    """The standard deviation that a sample says its population has; 0 of fewer than two values."""
    if len(values) < 2:
        return 0.0
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1))
    return 0.0 if deviation <= SMALLEST_SPREAD * abs(mean) else deviation


def find_half_width(deviation: float, count: int, *, share: float = SHARE) -> float:
    """How far each end of the interval is from the mean of at least two values.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    return _find_quantile(count - 1, (1 + share) / 2) * deviation / math.sqrt(count)


@cache
def _find_quantile(degrees: int, share: float) -> float:
    try:
        from scipy.special import stdtrit  # 0.2 s; scipy.stats takes 0.8
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"Confidence intervals need a package that is not installed: {error.name}. "
            "Install it with: pip install 'cnnctl[api]'"
        ) from None
    return float(stdtrit(degrees, share))
