"""Limits how often one person, or one address that nobody knows, is answered."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from service.errors import TooManyRequests

A_SECOND = 50.0
AT_ONCE = 100.0  # after a pause
MOST_REMEMBERED = 10_000


class RateLimit:
    """A bucket for each name, which fills with `A_SECOND` requests a second; safe between threads."""

    def __init__(self, *, seconds: Callable[[], float] = time.monotonic) -> None:
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
            left, at = self._buckets.pop(name, (AT_ONCE, now))
            left = min(AT_ONCE, left + (now - at) * A_SECOND)
            self._buckets[name] = (max(left - 1, 0), now)
            if len(self._buckets) > MOST_REMEMBERED:
                self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyRequests(
                f"{name} asks more than {A_SECOND:g} times a second. Wait a second; to see changes at once, "
                "listen to /api/v1/events"
            )
