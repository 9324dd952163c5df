"""Records who came in, at most once a minute for each: a write for each request would be too many."""

import threading
import time
from collections.abc import Callable

from service.store.people import sightings
from service.store.transaction import Store

EVERY_SECONDS = 60.0
MOST_REMEMBERED = 10_000


class Sightings:
    """Safe between threads."""

    def __init__(self, store: Store, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def see(self, name: str, *, uid: int) -> None:
        """A person came in; it is recorded if the last time is long enough ago."""
        with self._lock:
            now = self._seconds()
            if now - self._last.get(name, float("-inf")) < EVERY_SECONDS:
                return
            if len(self._last) >= MOST_REMEMBERED:
                self._last.clear()
            self._last[name] = now
        with self._store.transaction() as tx:
            sightings.set_seen(tx, name, uid=uid)
