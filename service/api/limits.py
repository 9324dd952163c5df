"""Limits how often, and how often at once, one person or one address that nobody knows is answered."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import TooManyRequests

MOST_REMEMBERED = 10_000
MOST_AT_ONCE = 30  # of the forty threads that answer


class RateLimit:
    """A bucket for each name, with room for the requests of two seconds; safe between threads."""

    def __init__(self, *, per_second: float, seconds: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._seconds = seconds
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: the bucket is empty.
        """
        with self._lock:
            now = self._seconds()
            room = 2 * self._per_second
            left, at = self._buckets.pop(name, (room, now))
            left = min(room, left + (now - at) * self._per_second)
            self._buckets[name] = (max(left - 1, 0), now)
            if len(self._buckets) > MOST_REMEMBERED:
                self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyRequests(
                f"{name} asks more than {self._per_second:g} times a second. Wait a second; to see changes "
                "at once, listen to /api/v1/events"
            )


class Shares:
    """How many requests of each person are being answered, so that slow ones leave threads for others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()

    @contextmanager
    def take(self, name: str) -> Iterator[None]:
        """Answer a request in the block.

        Raises:
            TooManyRequests: as many of theirs are being answered as may be.
        """
        with self._lock:
            if self._busy[name] >= MOST_AT_ONCE:
                raise TooManyRequests(
                    f"{name} has {MOST_AT_ONCE} requests under way. Wait until one is answered"
                )
            self._busy[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[name] -= 1
                self._busy += Counter()  # forgets who has none
