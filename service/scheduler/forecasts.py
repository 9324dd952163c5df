"""Says how long jobs will run still: by their own pace once they train, before that by jobs like them."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from service.domain.jobs import Attempt, Job, JobId
from service.domain.states import FINISHED
from service.scheduler.history import Forecast, History
from service.store import leases
from service.store.leases import count_gpu_seconds
from service.store.transaction import Transaction

LEARN_SECONDS = 60.0
SURE_SECONDS = 5.0  # of training: a pace measured over less says little


class Forecasts:
    """The history of the jobs that have ended, read on now and then."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._learned_at = float("-inf")
        self._known: set[JobId] = set()
        self._seen: datetime | None = None
        self._history = History()

    def learn(self, tx: Transaction) -> None:
        """Note the jobs that have ended since the last time, whatever their outcome: their GPUs came free."""
        if self._clock() - self._learned_at < LEARN_SECONDS:
            return
        self._learned_at = self._clock()
        seconds: dict[tuple[JobId, str, int], float] = defaultdict(float)
        for one in leases.list_holdings(tx, states=tuple(FINISHED), ended_since=self._seen):
            seconds[one.job_id, one.owner, one.gpus] += count_gpu_seconds(one, now=tx.now) / one.gpus
        for (number, owner, gpus), held in seconds.items():
            if number not in self._known:
                self._history.add(owner=owner, gpus=gpus, number=number, seconds=held)
        self._known |= {number for number, _, _ in seconds}
        self._seen = tx.now

    def find(
        self, job: Job, latest: Attempt | None, *, held_gpu_seconds: float, now: datetime
    ) -> Forecast | None:
        """What to expect of a job with this newest attempt, None where nothing tells."""
        left = find_seconds_left(latest, now=now) if latest else None
        if left is not None:
            return Forecast(expected_seconds=left, price_seconds=left)
        done = held_gpu_seconds / job.gpus
        return self._history.find_forecast(owner=job.owner, gpus=job.gpus, number=job.id, done_seconds=done)


def find_seconds_left(attempt: Attempt, *, now: datetime) -> float | None:
    """How long the rest takes at the pace of this attempt, None before it has trained for long enough."""
    progress, start = attempt.progress, attempt.started_at
    if progress is None or start is None or attempt.start_step is None:
        return None
    seconds = ((attempt.ended_at or now) - start).total_seconds()
    steps = progress.step - attempt.start_step
    if steps <= 0 or seconds < SURE_SECONDS:
        return None
    left = progress.epochs * progress.steps_per_epoch - progress.step
    return max(1.0, left * seconds / steps)
