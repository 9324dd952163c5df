"""Draws GPU-hours by day as bars, in which each person has a piece."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from cnnctl.views.people import UsageDayView

HEIGHT = 100.0  # of the highest bar, in its own units
MOST_BARS = 120  # of more days, several have a bar together


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPiece:
    """What a person used, from the top."""

    owner: str
    hours: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBar:
    """One day, or a few; `hours` is all that was used."""

    first: date
    last: date
    hours: float
    pieces: Sequence[DayPiece]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBars:
    """All days of a window; `owners` have what each used, the most first."""

    bars: Sequence[DayBar]
    days: int
    """Of each bar."""
    most: float
    owners: Mapping[str, float]


def draw_days(usage: Sequence[UsageDayView], *, since: datetime, now: datetime) -> DayBars:
    """The bars of a window; the first and the last day may not be whole."""
    last = now.astimezone(timezone.utc).date()
    first = min(since.astimezone(timezone.utc).date(), last)
    if usage:  # of years before anybody used a GPU there is nothing to see
        first = max(first, date.fromisoformat(usage[0].day))
        last = max(last, date.fromisoformat(usage[-1].day))  # of a database whose clock is ahead
    days = 1 + ((last - first).days // MOST_BARS)
    used: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    owners: dict[str, float] = defaultdict(float)
    for one in usage:
        used[(date.fromisoformat(one.day) - first).days // days][one.owner] += one.gpu_hours
        owners[one.owner] += one.gpu_hours
    ordered = dict(sorted(owners.items(), key=lambda one: (-one[1], one[0])))
    most = max((sum(bar.values()) for bar in used.values()), default=0.0)
    count = 1 + (last - first).days // days
    bars = []
    for number in range(count):
        begin = first + timedelta(days=number * days)
        end = min(last, begin + timedelta(days=days - 1))
        bars.append(_make_bar(used[number], list(ordered), first=begin, last=end, most=most))
    return DayBars(bars=bars, days=days, most=most, owners=ordered)


def _make_bar(
    used: Mapping[str, float], owners: Sequence[str], *, first: date, last: date, most: float
) -> DayBar:
    pieces, y = [], HEIGHT
    for owner in owners:  # in the same order in all bars
        if hours := used.get(owner, 0.0):
            height = HEIGHT * hours / most
            y -= height
            pieces.append(DayPiece(owner=owner, hours=hours, y=y, height=height))
    return DayBar(first=first, last=last, hours=sum(used.values()), pieces=pieces)
