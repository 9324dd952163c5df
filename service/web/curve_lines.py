"""Turns the buckets of a curve into the lines of a chart."""

from collections.abc import Iterator, Sequence

from cnnctl.views.curves import CurveView
from service.web.chart import Point
from service.web.chart_scale import bound
from service.web.curve_axis import Axis


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
    """The buckets' means, each averaged with those before it: an exponential mean without bias to zero."""
    total = share = 0.0
    for step, _, _, mean in curve.points:
        if mean is None:
            yield axis.place(step), None
            continue
        total = weight * total + (1 - weight) * bound(mean)
        share = weight * share + (1 - weight)
        yield axis.place(step), total / share


def cut(points: Sequence[Point], window: tuple[float, float] | None) -> Sequence[Point]:
    """The points within a window."""
    if window is None:
        return points
    return [point for point in points if window[0] <= point[0] <= window[1]]
