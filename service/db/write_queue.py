"""Lets threads write to SQLite one after the other, in the order of their requests."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, RLock

from service.errors import DatabaseUnavailable


class WriteQueue:
    """A queue of threads; the first one has its turn. A `Lock` would let a newcomer go first."""

    def __init__(self, *, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._guard = RLock()
        self._line: deque[Lock] = deque()

    @contextmanager
    def take(self, *, urgent: bool = False) -> Iterator[None]:
        """Wait for the turn and keep it until the end of the block; an urgent thread is next.

        Raises:
            DatabaseUnavailable: the turn did not come in time, as when this thread already has it.
        """
        lock = self._stand_in_line(urgent=urgent)
        try:
            if not lock.acquire(timeout=self._wait_seconds):
                raise DatabaseUnavailable(
                    f"The database is busy: other threads have written for {self._wait_seconds:g} s. "
                    "Try again, or see: cnnctl doctor"
                )
            yield
        finally:
            self._leave(lock)

    def _stand_in_line(self, *, urgent: bool) -> Lock:
        lock = Lock()
        with self._guard:
            if self._line:
                lock.acquire()  # until the thread before leaves
            self._line.insert(1 if urgent else len(self._line), lock)  # behind the thread that has its turn
        return lock

    def _leave(self, lock: Lock) -> None:
        with self._guard:
            was_first = self._line[0] is lock
            self._line.remove(lock)
            if was_first and self._line:
                self._line[0].release()
