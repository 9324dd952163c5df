"""Turns the buckets of a curve into the lines of a chart."""

import math
from collections.abc import Iterator, Sequence

from cnnctl.views.curves import CurveView
from service.web.chart import Point
from service.web.chart_scale import bound
from service.web.curve_axis import Axis

UNIT_STEPS = (
    100  # over so many, what was before keeps its weight: whatever the buckets, other curves, or a zoom
)
Window = tuple[float, float] | None


def make_lines(
    curve: CurveView, axis: Axis, *, weight: float, window: Window, logarithmic: bool
) -> tuple[Sequence[Point], Sequence[Point]]:
    """The line of a curve within a window, and where it is smoothed, what was measured."""
    measured = clip(list(trace(curve, axis)), window, logarithmic=logarithmic)
    if not weight:
        return measured, ()
    return clip(list(smooth(curve, axis, weight=weight)), window, logarithmic=logarithmic), measured


def describe_smoothing(weight: float) -> str:
    """How much of what was before each point keeps; empty: nothing."""
    return f"smoothed by {weight:g} per {UNIT_STEPS} steps" if weight else ""


def trace(curve: CurveView, axis: Axis) -> Iterator[Point]:
    """A line through the least and the largest value of each bucket, so that no spike is lost.

    The nearer of both comes first, which keeps the line short.
    """
    before: float | None = None
    for step, low, high, _ in curve.points:
        x = axis.place(step)
        if low is None or high is None:
            yield x, None
            before = None
            continue
        low, high = bound(low), bound(high)
        if low == high:
            yield x, low
            before = low
            continue
        rises = before is None or abs(low - before) <= abs(high - before)
        first, before = (low, high) if rises else (high, low)
        yield x, first
        yield x, before


def smooth(curve: CurveView, axis: Axis, *, weight: float) -> Iterator[Point]:
    """The buckets' means, each averaged with those before it: an exponential mean without bias to zero.

    Each stands for the steps since the one before, and its weight falls by these steps.
    """
    total = share = 0.0
    before = 0
    for step, _, _, mean in curve.points:
        if mean is None:
            yield axis.place(step), None
            continue
        new = -math.expm1(math.log(weight) * max(1, step - before) / UNIT_STEPS)
        before = step
        total += new * (bound(mean) - total)
        share += new * (1 - share)
        yield axis.place(step), total / share


def clip(points: Sequence[Point], window: Window, *, logarithmic: bool = False) -> Sequence[Point]:
    """A line within a window, up to where it crosses the window's ends."""
    if window is None:
        return points
    kept: list[Point] = []
    for number, point in enumerate(points):
        if number:
            kept += _cross(points[number - 1], point, window, logarithmic=logarithmic)
        if window[0] <= point[0] <= window[1]:
            kept.append(point)
    return kept


def _cross(left: Point, right: Point, ends: tuple[float, float], *, logarithmic: bool) -> Iterator[Point]:
    """Where the line between two points crosses the ends of a window."""
    (x, y), (next_x, next_y) = left, right
    if y is None or next_y is None:
        return
    for end in ends:
        if x < end < next_x:
            share = (end - x) / (next_x - x)
            straight = not logarithmic or min(y, next_y) <= 0
            yield end, y + share * (next_y - y) if straight else y ** (1 - share) * next_y**share
