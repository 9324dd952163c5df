"""Measures silence by this process's monotonic clock: no clock that jumps makes an attempt lost."""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


class LivenessMonitor:
    """Watches heartbeats in SQL; a sender whose heartbeat stays the same for `seconds` is silent.

    After a gap of `pause_seconds` between two calls, as in an outage or on a machine that stood still, every
    sender gets the whole time again: no heartbeat could be seen in the gap.
    """

    def __init__(
        self,
        seconds: float,
        *,
        pause_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._listened = clock()
        self._since: dict[Hashable, tuple[datetime, float]] = {}

    def list_silent(self, heartbeats: Mapping[Name, datetime], *, now: datetime | None = None) -> set[Name]:
        """The senders whose heartbeat has not changed for too long; a sender that is not passed is forgotten.

        A heartbeat that is seen for the first time counts as fresh, or, with `now`, by its age.
        """
        moment = self._clock()
        before = self._since if moment - self._listened < self._pause_seconds else {}
        self._listened = moment
        self._since = {
            name: seen if (seen := before.get(name)) and seen[0] == heartbeat else (heartbeat, moment - age)
            for name, heartbeat in heartbeats.items()
            for age in [abs((now - heartbeat).total_seconds()) if now and name not in self._since else 0.0]
        }
        return {name for name in heartbeats if moment - self._since[name][1] > self._seconds}
