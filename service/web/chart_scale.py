"""Where the values of a chart lie on its paper, and which of them are written along an axis."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LARGEST = 1e150  # what is larger is drawn there: a picture needs differences that are numbers
DECADES = 1.0  # positive values that span so many are drawn on a logarithmic axis, where that is left open
MOST_TICKS = 400
SMALLEST = 1e-300  # and what is smaller, there on a logarithmic axis
ALIKE, LEAST = 1e-12, 1e-200  # values no further apart than these, by their size and at all, are one


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Values from `low` to `high`, on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value; of one outside its own, outside the paper."""
        low, high = self._turn(self.low), self._turn(self.high)
        share = (self._turn(bound(value)) - low) / (high - low)
        return self.start + min(max(share, -1.0), 2.0) * (self.end - self.start)

    def _turn(self, value: float) -> float:
        return math.log10(max(value, SMALLEST)) if self.logarithmic else value

    def list_ticks(self, most: int) -> Sequence[float]:
        """Round values between its ends, about so many."""
        if self.logarithmic:
            return _list_powers(self.low, self.high, most)
        step = find_step((self.high - self.low) / max(1, most))
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, first + MOST_TICKS) if number * step <= self.high]


def bound(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST)


def find_step(least: float) -> float:
    """The least of 1, 2, 5, 10, 20, … that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(
        round_ * power for round_ in (1.0, 2.0, 5.0, 10.0, 20.0) if round_ * power >= least * 0.999999
    )


def _list_powers(low: float, high: float, most: int) -> Sequence[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / most))
    ticks = [10.0**power for power in range(first, last + 1, every)]
    if last - first <= 2:
        ticks = [mark * 10.0**power for power in range(first, last + 1) for mark in (1, 2, 5)]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def make_scale(
    values: Iterable[float], *, start: float, end: float, room: float = 0.04, logarithmic: bool = False
) -> Scale:
    """A scale with all of these on it, and some room at its ends.

    It begins at zero where the values come near it, so that the eye compares lengths.
    """
    found = [bound(value) for value in values]
    low, high = min(found, default=0.0), max(found, default=1.0)
    if logarithmic:
        low, high = max(low, SMALLEST), max(high, SMALLEST)
        return Scale(
            low=low / 10.0**room,
            high=high * 10.0**room * (1 + (low == high)),
            start=start,
            end=end,
            logarithmic=True,
        )
    size = max(abs(low), abs(high))
    if high - low <= max(size * ALIKE, LEAST):
        half = size / 2 if size > LEAST else 0.5
        low, high = low - half, high + half
    gap = (high - low) * room
    at_zero = room > 0 and 0 <= low <= high - low
    return Scale(low=0.0 if at_zero else low - gap, high=high + gap, start=start, end=end)


def is_wide(values: Sequence[float]) -> bool:
    """Whether values are so far apart that only a logarithmic axis shows the small ones."""
    return bool(values) and min(values) > 0 and math.log10(max(values) / min(values)) >= DECADES


def format_tick(value: float) -> str:
    """A value along an axis: 0.25, 1,500, 1e-05."""
    if abs(value) < 1e-12:
        return "0"
    return (
        f"{value:,.0f}"
        if 1000 <= abs(value) < 1e7
        else f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")
    )


def format_value(value: float | None) -> str:
    """A value with four digits that count; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")
