"""Limits how often one person, or one address that nobody knows, is answered."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from service.errors import TooManyRequests

MOST_REMEMBERED = 10_000


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
