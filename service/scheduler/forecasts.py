"""Says how long jobs will run still: by their own pace once they train, before that by jobs like them."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from statistics import median

from service.domain.jobs import Attempt, Job, JobId
from service.domain.states import FINISHED, JobState
from service.scheduler.history import Forecast, History
from service.store import attempts, jobs, leases
from service.store.leases import count_gpu_seconds
from service.store.transaction import Transaction

LEARN_SECONDS = 10.0
REMEMBERED = timedelta(days=90)
LIKE_JOBS = 5  # the newest so many tell the pace
SURE_SECONDS = 5.0  # of training: a pace measured over less says little

Work = tuple[object, ...]


class Forecasts:
    """What is known from the jobs that have ended, read on now and then."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._learned_at = float("-inf")
        self._seen: datetime | None = None
        self._known: set[JobId] = set()
        self._history = History()
        self._epoch_seconds: dict[Work, deque[float]] = defaultdict(lambda: deque(maxlen=LIKE_JOBS))
        self._works: dict[JobId, tuple[Work, int]] = {}

    def learn(self, tx: Transaction) -> None:
        """Note the jobs that have ended since the last time, whatever their outcome: their GPUs came free."""
        if self._clock() - self._learned_at < LEARN_SECONDS:
            return
        self._learned_at = self._clock()
        since = self._seen or tx.now - REMEMBERED
        held = _read_held_seconds(tx, since)
        latest = {one.job_id: one for one in attempts.list_latest_of(tx, FINISHED, ended_since=since)}
        for job in jobs.list_ended_jobs(tx, since=since):
            if job.id in held and job.id not in self._known:
                self._note(job, latest[job.id], seconds=held[job.id])
            self._works.pop(job.id, None)
        self._seen = tx.now

    def find(
        self, job: Job, latest: Attempt | None, *, held_gpu_seconds: float, now: datetime
    ) -> Forecast | None:
        """What to expect of a job with this newest attempt, None where nothing tells."""
        done = held_gpu_seconds / job.gpus
        left = find_seconds_left(latest, now=now) if latest else None
        if left is None:
            left = self._ask_like_jobs(job, done_seconds=done)
        if left is not None:
            return Forecast(expected_seconds=left, price_seconds=left)
        return self._history.find_forecast(owner=job.owner, gpus=job.gpus, number=job.id, done_seconds=done)

    def _note(self, job: Job, latest: Attempt, *, seconds: float) -> None:
        self._known.add(job.id)
        self._history.add(owner=job.owner, gpus=job.gpus, number=job.id, seconds=seconds)
        if job.state is JobState.SUCCEEDED and latest.epochs_completed:
            self._epoch_seconds[self._read_work(job)[0]].append(seconds / latest.epochs_completed)

    def _ask_like_jobs(self, job: Job, *, done_seconds: float) -> float | None:
        work, epochs = self._read_work(job)
        if work not in self._epoch_seconds:
            return None
        left = epochs * median(self._epoch_seconds[work]) - done_seconds
        return left if left > 0.0 else None  # it takes longer than they did: nobody knows how much

    def _read_work(self, job: Job) -> tuple[Work, int]:
        """What an epoch's length depends on, and how many there are; read once, as a spec never changes."""
        if job.id not in self._works:
            spec = json.loads(job.spec)
            size = spec["data"]["image_size"], spec["training"]["batch_size"]
            work = job.architecture, job.dataset, job.gpus, *size
            self._works[job.id] = work, spec["training"]["epochs"]
        return self._works[job.id]


def _read_held_seconds(tx: Transaction, since: datetime) -> Mapping[JobId, float]:
    """For how long the jobs that have ended since then held their GPUs."""
    held: dict[JobId, float] = defaultdict(float)
    for one in leases.list_holdings(tx, states=tuple(FINISHED), ended_since=since):
        held[one.job_id] += count_gpu_seconds(one, now=tx.now) / one.gpus
    return held


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
