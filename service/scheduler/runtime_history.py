"""Learns from finished jobs how long similar jobs will run."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

SEARCHED = 128  # how many similar jobs count that were submitted before, and how many after
SOFT = 4  # the weight is 1 / (distance + this): 1/4, then 1/5, 1/6, …
FEW = 3  # fewer jobs give no forecast
REMEMBERED = 50_000  # answers, until the next job has finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long a job will still run, from the history of similar jobs."""

    expected_seconds: float
    """Half of the similar jobs took at most this much longer."""
    gittins_seconds: float
    """The least run time per finished job that one can reach by running such jobs on: the inverse of Gittins'
    index. It is low when some of them will end soon, even if the others never do."""


class RuntimeHistory:
    """Run times of finished jobs, in seconds, by owner and GPUs, in the order of their submission."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._asked: dict[tuple[str, int, int, float], Forecast | None] = {}

    def add(self, *, owner: str, gpus: int, number: int, seconds: float) -> None:
        """Add a finished job; job numbers grow with submission."""
        self._asked.clear()
        numbers = self._numbers[owner, gpus]
        index = bisect_left(numbers, number)
        numbers.insert(index, number)
        self._seconds[owner, gpus].insert(index, seconds)

    def find_forecast(self, *, owner: str, gpus: int, number: int, done_seconds: float) -> Forecast | None:
        """The forecast for a job that has run for `done_seconds`; None if too few jobs ran longer."""
        index = bisect_left(self._numbers[owner, gpus], number)
        asked = owner, gpus, index, done_seconds
        if asked not in self._asked:
            if len(self._asked) >= REMEMBERED:
                self._asked.clear()
            self._asked[asked] = self._ask(*asked)
        return self._asked[asked]

    def _ask(self, owner: str, gpus: int, index: int, done_seconds: float) -> Forecast | None:
        left = sorted(self._weigh(owner, gpus, index, done_seconds))
        if len(left) < FEW:
            return None
        going = total = sum(weight for _, weight in left)
        spent = 0.0
        prices = []
        expected = left[-1][0]
        for seconds, weight in left:
            going -= weight
            spent += weight * seconds
            prices.append((spent + going * seconds) / (total - going))
            if going >= total / 2:
                expected = seconds
        return Forecast(expected_seconds=max(1.0, expected), gittins_seconds=max(1.0, min(prices)))

    def _weigh(self, owner: str, gpus: int, index: int, done_seconds: float) -> Sequence[tuple[float, float]]:
        """Seconds left and weights of similar jobs: people submit them in a row, so near ones count more."""
        seconds = self._seconds[owner, gpus]
        before = seconds[max(0, index - SEARCHED) : index][::-1]
        return [
            (one - done_seconds, 1.0 / (SOFT + steps))
            for side in (seconds[index : index + SEARCHED], before)
            for steps, one in enumerate(side)
            if one > done_seconds
        ]
