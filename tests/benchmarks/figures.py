"""Times ways to do the same thing side by side, and prints one line a figure: `name ratio unit`."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured ratio, or number in its unit; `goal` says in words what it should be."""

    name: str
    ratio: float
    unit: str
    goal: str

    def line(self) -> str:
        return f"{self.name} {float(f'{self.ratio:.3g}'):g} {self.unit}"


def median_seconds(ways: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Run every way once to warm up, then all of them in turns; the median of each way's seconds.

    In turns, so that what else the machine does hits all of them alike.
    """
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
