"""Remembers how much GPU time each owner has used; older use counts less."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import timedelta

from service.store.fleet import leases
from service.store.fleet.leases import count_gpu_seconds
from service.store.transaction import Transaction

HALF_LIVES = 8  # older use counts for less than half a percent
REFRESH_SECONDS = 10.0


class DecayedUsage:
    """GPU-seconds by owner, halved for every half-life since the use ended; reread from time to time."""

    def __init__(self, *, half_life_seconds: float, clock: Callable[[], float]) -> None:
        self._half_life = half_life_seconds
        self._clock = clock
        self._read_at = float("-inf")
        self._found: Mapping[str, float] = {}

    def by_owner(self, tx: Transaction) -> Mapping[str, float]:
        """The decayed GPU-seconds of each owner, at most some seconds old."""
        if self._clock() - self._read_at >= REFRESH_SECONDS:
            self._read_at = self._clock()
            self._found = self._read(tx)
        return self._found

    def _read(self, tx: Transaction) -> Mapping[str, float]:
        found: dict[str, float] = defaultdict(float)
        since = tx.now - timedelta(seconds=HALF_LIVES * self._half_life)
        for holding in leases.list_holdings(tx, since=since):
            age = (tx.now - (holding.released_at or tx.now)).total_seconds()
            found[holding.owner] += count_gpu_seconds(holding, now=tx.now) * 0.5 ** (age / self._half_life)
        return found
