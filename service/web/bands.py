"""Draws what was read over a window of time as bands between the lowest and the highest value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cnnctl.views.fleet import HolderView

HEIGHT = 100  # of a drawing, in its own units
WIDTH = 1000  # of a strip of holders, in its own units

Buckets = Sequence[tuple[float, float] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A curve of buckets, each one unit wide; `most` is the value at the top."""

    width: int
    paths: Sequence[str]
    """Its pieces between gaps, as paths of an SVG."""
    gaps: Sequence[tuple[int, int]]
    """Where nothing was read: a bucket, and how many."""
    highest: float | None


def draw_band(buckets: Buckets, *, most: float) -> Band:
    """The band of a window; a bucket is a step, so that a single one can be seen."""
    runs = list(_list_runs(buckets))
    gaps = [(start, length) for start, length, is_read in runs if not is_read]
    return Band(
        width=len(buckets),
        paths=[_draw_run(buckets, start, length, most=most) for start, length, is_read in runs if is_read],
        gaps=gaps,
        highest=max((bucket[1] for bucket in buckets if bucket), default=None),
    )


def _list_runs(buckets: Buckets) -> Iterator[tuple[int, int, bool]]:
    """First bucket, length, and whether it was read, of each run of buckets that are alike."""
    start = 0
    for number in range(1, len(buckets) + 1):
        if number == len(buckets) or (buckets[number] is None) != (buckets[start] is None):
            yield start, number - start, buckets[start] is not None
            start = number


def _draw_run(buckets: Buckets, start: int, length: int, *, most: float) -> str:
    """The highest values from left to right, then the lowest ones back."""
    ranges = [(start + offset, buckets[start + offset] or (0.0, 0.0)) for offset in range(length)]
    there = "".join(f"V{_place(high, most)}H{number + 1}" for number, (_, high) in ranges)
    back = "".join(f"V{_place(low, most)}H{number}" for number, (low, _) in reversed(ranges))
    return f"M{start} {_place(ranges[0][1][1], most)}{there}{back}Z"


def _place(value: float, most: float) -> int:
    """How far below the top a value lies."""
    return round(HEIGHT * (1 - min(1.0, max(0.0, value / most)))) if most else HEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A job that held a GPU in the window."""

    job: int
    owner: str
    x: float
    width: float
    seconds: float


def place_holds(holders: Sequence[HolderView], *, start: datetime, seconds: float) -> Sequence[Hold]:
    """Where the holders of a GPU are in a strip as wide as the window; what was before it is cut off."""
    end = start + timedelta(seconds=seconds)
    holds = []
    for holder in holders:
        since, until = min(max(holder.since, start), end), min(holder.until or end, end)
        held = max(0.0, (until - since).total_seconds())
        x = WIDTH * (since - start).total_seconds() / seconds
        width = max(1.5, WIDTH * held / seconds)
        holds.append(Hold(job=holder.job, owner=holder.owner, x=x, width=width, seconds=held))
    return holds
