"""GPU-hours: who used them for what, and which of them were wasted."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone

from service.domain.states import Outcome

STILL_RUNNING = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """The time for which an attempt held its GPUs, and what it did in it.

    `asked_at` is when somebody first asked it to stop, `redone_from` the step at which its job's
    next attempt began. `ended_at` is None while it holds them.
    """

    owner: str
    project: str
    outcome: Outcome | None
    gpus: int
    leased_at: datetime
    started_at: datetime | None
    asked_at: datetime | None
    ended_at: datetime | None
    first_step: int | None
    last_step: int | None
    redone_from: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """GPU-hours of one person, project and outcome.

    Wasted are all hours of failed attempts; of others, the steps that were repeated after a loss, and idle
    time: before the first step, and while stopping.
    """

    owner: str
    project: str
    outcome: str
    attempts: int = 0
    gpu_hours: float = 0.0
    failed_hours: float = 0.0
    redone_hours: float = 0.0
    idle_hours: float = 0.0

    @property
    def wasted_hours(self) -> float:
        return self.failed_hours + self.redone_hours + self.idle_hours


def add_up(stays: Iterable[Stay], *, since: datetime | None, now: datetime) -> Sequence[Usage]:
    """Count the hours of all stays from `since` until now, by owner, project and outcome."""
    found: dict[tuple[str, str, str], Usage] = {}
    for stay in stays:
        outcome = stay.outcome.value if stay.outcome else STILL_RUNNING
        key = stay.owner, stay.project, outcome
        before = found.get(key) or Usage(owner=stay.owner, project=stay.project, outcome=outcome)
        found[key] = _add(before, stay, since=since, now=now)
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """GPU-hours of one person on one day in UTC."""

    day: date
    owner: str
    gpu_hours: float


def add_up_by_day(stays: Iterable[Stay], *, since: datetime | None, now: datetime) -> Sequence[DayUsage]:
    """Count the hours of all stays from `since` until now, by day in UTC and owner."""
    found: dict[tuple[date, str], float] = defaultdict(float)
    for stay in stays:
        start, end = stay.leased_at.astimezone(timezone.utc), stay.ended_at or now
        start = max(start, since.astimezone(timezone.utc)) if since else start
        while start < end:
            midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            until = min(end, midnight)
            found[start.date(), stay.owner] += stay.gpus * (until - start).total_seconds() / 3600
            start = until.astimezone(timezone.utc)
    return [DayUsage(day=day, owner=owner, gpu_hours=found[day, owner]) for day, owner in sorted(found)]


def _add(usage: Usage, stay: Stay, *, since: datetime | None, now: datetime) -> Usage:
    end = stay.ended_at or now

    def hours(first: datetime, last: datetime) -> float:
        first = max(first, since) if since else first
        return stay.gpus * max((last - first).total_seconds(), 0.0) / 3600

    held = hours(stay.leased_at, end)
    failed = redone = idle = 0.0
    if stay.outcome is Outcome.FAILED:
        failed = held
    elif stay.started_at is None:
        idle = held
    else:
        stopping = min(max(stay.asked_at or end, stay.started_at), end)
        idle = hours(stay.leased_at, stay.started_at) + hours(stopping, end)
        redone = hours(stay.started_at, stopping) * _redone_fraction(stay)
    return replace(
        usage,
        attempts=usage.attempts + 1,
        gpu_hours=usage.gpu_hours + held,
        failed_hours=usage.failed_hours + failed,
        redone_hours=usage.redone_hours + redone,
        idle_hours=usage.idle_hours + idle,
    )


def _redone_fraction(stay: Stay) -> float:
    """The fraction of an attempt's steps that the next attempt repeated; 0 if unknown."""
    if stay.first_step is None or stay.last_step is None or stay.redone_from is None:
        return 0.0
    steps = stay.last_step - stay.first_step
    return min(max(stay.last_step - stay.redone_from, 0) / steps, 1.0) if steps > 0 else 0.0
