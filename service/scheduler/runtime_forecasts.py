"""Estimates how long jobs will still run: by their own pace once they train, before that by like jobs."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from service.domain.jobs import Attempt, Job, JobId
from service.domain.states import FINISHED
from service.domain.stored_spec import load_spec_tree
from service.scheduler.runtime_history import Forecast, RuntimeHistory
from service.store.fleet import leases
from service.store.fleet.leases import count_gpu_seconds
from service.store.jobs import attempts, jobs
from service.store.transaction import Transaction

LEARN_SECONDS = 10.0
LATE = timedelta(minutes=1)  # an end may be committed this much later than its time, or a clock step back
REMEMBERED = timedelta(days=90)
LIKE_JOBS = 5  # how many of the newest jobs give the pace
SURE_SECONDS = 5.0  # of training: a pace measured over less time says little
START_SECONDS = 1.0  # from the lease to the first step, about
# Parts of a spec that do not change the length of an epoch.
_SECTIONS = ("model", "data", "training", "optimizer", "loss")
_NO_MATTER = {"seed", "epochs", "early_stopping", "lr"}

Work = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long an epoch took in jobs that do the same work."""

    epoch_seconds: float
    jobs: int
    """The number of these jobs."""


class RuntimeForecasts:
    """Forecasts from the jobs that have ended, which are read from time to time."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._learned_at = float("-inf")
        self._seen: datetime | None = None
        self._known: set[tuple[JobId, datetime | None]] = set()
        self.learned = 0
        """How many ends count: forecasts of jobs that do not run stay the same while this does."""
        self._history = RuntimeHistory()
        self._epoch_seconds: dict[Work, deque[float]] = defaultdict(lambda: deque(maxlen=LIKE_JOBS))
        self._works: dict[JobId, tuple[Work, int]] = {}
        self._left: dict[JobId, tuple[float, float]] = {}  # seconds left, and the seconds done at that time

    def learn(self, tx: Transaction) -> None:
        """Read the jobs that have ended since the last call, with any outcome: their GPUs became free."""
        if self._clock() - self._learned_at < LEARN_SECONDS:
            return
        self._learned_at = self._clock()
        since = self._seen - LATE if self._seen else tx.now - REMEMBERED
        held = _read_held_seconds(tx, since)
        latest = {one.job_id: one for one in attempts.list_latest_of(tx, FINISHED, ended_since=since)}
        for job in jobs.list_ended_jobs(tx, since=since):
            if job.id in held and (job.id, job.ended_at) not in self._known:
                self._known.add((job.id, job.ended_at))
                self._note(job, latest[job.id], seconds=held[job.id], now=tx.now)
            self._works.pop(job.id, None)
            self._left.pop(job.id, None)
        self._known = {known for known in self._known if known[1] is None or known[1] >= since}
        self._seen = tx.now

    def find(
        self, job: Job, latest: Attempt | None, *, held_gpu_seconds: float, now: datetime
    ) -> Forecast | None:
        """The forecast for a job with this newest attempt; None if nothing is known."""
        done = held_gpu_seconds / job.gpus
        left = self._ask_itself(job, latest, done_seconds=done, now=now)
        if left is None:
            left = self._ask_like_jobs(job, done_seconds=done)
        if left is not None:
            return Forecast(expected_seconds=left, gittins_seconds=left)
        return self._history.find_forecast(owner=job.owner, gpus=job.gpus, number=job.id, done_seconds=done)

    def find_pace(self, spec: Mapping[str, Any], *, hosts: int) -> Pace | None:
        """The pace of the newest jobs that differ from this spec only in seed, epochs or learning rate."""
        found = self._epoch_seconds.get(extract_work(spec, hosts=hosts))
        return Pace(epoch_seconds=median(found), jobs=len(found)) if found else None

    def _note(self, job: Job, latest: Attempt, *, seconds: float, now: datetime) -> None:
        self.learned += 1
        self._history.add(owner=job.owner, gpus=job.gpus, number=job.id, seconds=seconds)
        step_seconds = find_step_seconds(latest, now=now, sure_seconds=0.0)
        if step_seconds and latest.progress and latest.epochs_completed:
            epoch_seconds = step_seconds * latest.progress.steps_per_epoch
            self._epoch_seconds[self._read_work(job)[0]].append(epoch_seconds)

    def _ask_itself(
        self, job: Job, latest: Attempt | None, *, done_seconds: float, now: datetime
    ) -> float | None:
        """From the job's own pace or, if its attempt has only begun, from the pace of the attempt before."""
        left = find_seconds_left(latest, now=now) if latest else None
        if left is not None:
            self._left[job.id] = left, done_seconds
        elif job.id in self._left:
            before, then = self._left[job.id]
            left = max(1.0, before - (done_seconds - then))
        return left

    def _ask_like_jobs(self, job: Job, *, done_seconds: float) -> float | None:
        work, epochs = self._read_work(job)
        if work not in self._epoch_seconds:
            return None
        left = START_SECONDS + epochs * median(self._epoch_seconds[work]) - done_seconds
        return left if left > 0.0 else None  # it takes longer than they did, by an unknown time

    def _read_work(self, job: Job) -> tuple[Work, int]:
        """Read what sets an epoch's length, and the number of epochs; once, because a spec never changes."""
        if job.id not in self._works:
            spec = load_spec_tree(job.spec)
            self._works[job.id] = (
                extract_work(spec, hosts=job.scheduling.hosts),
                spec.get("training", {}).get("epochs", 1),
            )
        return self._works[job.id]


def extract_work(spec: Mapping[str, Any], *, hosts: int) -> Work:
    """Extract the part of a spec that sets an epoch's length: jobs with the same work take equally long."""
    parts = {
        section: {name: value for name, value in spec.get(section, {}).items() if name not in _NO_MATTER}
        for section in _SECTIONS
    }
    return json.dumps([spec.get("resources", {}).get("gpus"), hosts, parts], sort_keys=True)


def find_seconds_left(attempt: Attempt, *, now: datetime) -> float | None:
    """How long the rest takes at the pace of this attempt; None until it has trained for long enough."""
    step_seconds = find_step_seconds(attempt, now=now, sure_seconds=SURE_SECONDS)
    if step_seconds is None or attempt.progress is None:
        return None
    progress = attempt.progress
    return max(1.0, (progress.epochs * progress.steps_per_epoch - progress.step) * step_seconds)


def find_step_seconds(attempt: Attempt, *, now: datetime, sure_seconds: float) -> float | None:
    """Seconds per step of this attempt, with validation and checkpoints; None if it trained too briefly."""
    if attempt.progress is None or attempt.started_at is None or attempt.start_step is None:
        return None
    seconds = ((attempt.ended_at or now) - attempt.started_at).total_seconds()
    steps = attempt.progress.step - attempt.start_step
    return seconds / steps if steps > 0 and seconds >= sure_seconds else None


def _read_held_seconds(tx: Transaction, since: datetime) -> Mapping[JobId, float]:
    """For how long the jobs that have ended since `since` held their GPUs."""
    held: dict[JobId, float] = defaultdict(float)
    for one in leases.list_holdings(tx, states=tuple(FINISHED), ended_since=since):
        held[one.job_id] += count_gpu_seconds(one, now=tx.now) / one.gpus
    return held
