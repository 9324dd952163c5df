"""The charts of a comparison: the curves of a metric, and their means by group."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cnnctl.client import Client
from cnnctl.views.curves import BandView, CurveView
from service.web.chart import Chart, Curve, Point, choose_look, say_missing
from service.web.chart_scale import bound
from service.web.compare_address import Asked
from service.web.curve_axis import LABELS, Axis, AxisName, find_axis
from service.web.curve_lines import Window, clip, describe_smoothing, make_lines

MOST_POINTS = 12_000  # of all curves together: more than a screen has
FEWEST, MOST = 120, 600  # of one
THINNED = "Points that fall together: their least and largest value"


def make_curves_chart(
    client: Client, asked: Asked, jobs: Sequence[int], *, metric: str, window: Window = None
) -> Chart:
    """The curves of a metric, or the means of groups of jobs that differ only in their seeds."""
    make = _make_bands if asked.grouped else _make_curves
    curves, notes = make(client, asked, jobs, metric, window)
    return Chart(
        title="" if asked.grouped else describe_smoothing(asked.smooth),
        x_label=LABELS[asked.x],
        y_label=f"{metric}, mean and 95 % band" if asked.grouped else metric,
        curves=curves,
        notes=notes,
        logarithmic=asked.logarithmic,
        x_range=window,
    )


def _make_curves(
    client: Client, asked: Asked, jobs: Sequence[int], metric: str, window: Window
) -> tuple[Sequence[Curve], Sequence[str]]:
    """A curve of each job that has the metric, and what to say of the others."""
    curves, without, nowhere = [], [], []
    found = read_curves(client, jobs, [metric], x=asked.x, window=window)
    for number, view in enumerate(found):
        axis = find_axis(view, asked.x)
        if not view.points:
            without.append(view.job)
        elif axis is None:
            nowhere.append(view.job)
        else:
            curves.append(_make_curve(view, axis, asked, number=number, window=window))
    notes = [THINNED] if any(view.decimated for view in found) else []
    return curves, [*notes, *_say_what_is_missing(without, nowhere, metric, asked.x)]


def _make_curve(view: CurveView, axis: Axis, asked: Asked, *, number: int, window: Window) -> Curve:
    """A curve of a job; smoothed, with what was measured behind it."""
    points, behind = make_lines(view, axis, weight=asked.smooth, window=window, logarithmic=asked.logarithmic)
    return Curve(
        key=str(view.job),
        label=f"Job {view.job}",
        look=choose_look(number),
        last=view.last,
        points=points,
        behind=behind,
    )


def _say_what_is_missing(
    without: Sequence[int], nowhere: Sequence[int], metric: str, x: AxisName
) -> Iterator[str]:
    yield from say_missing(without, metric)
    yield from say_missing(nowhere, "whole epoch" if x == "epoch" else "known speed")


def read_curves(
    client: Client, jobs: Sequence[int], metrics: Sequence[str], *, x: AxisName, window: Window
) -> Sequence[CurveView]:
    """The curves, exact within a window of their axis; on both sides of it they go on as a whole has them."""
    points = max(FEWEST, min(MOST, MOST_POINTS // (len(jobs) * len(metrics))))
    whole = client.get_curves(jobs, metrics, points=points)
    if window is None:
        return whole
    of_range: Mapping[tuple[int, int], dict[int, None]] = defaultdict(dict)
    for view in whole:
        if axis := find_axis(view, x):
            first, last = (int(axis.find_step(end)) for end in window)
            of_range[first, last + 1][view.job] = None
    fine = {
        (view.job, view.metric): (view, steps)
        for steps, some in of_range.items()
        for view in client.get_curves(list(some), metrics, start=steps[0], end=steps[1], points=points)
    }
    return [
        _refine(view, *fine[view.job, view.metric]) if (view.job, view.metric) in fine else view
        for view in whole
    ]


def _refine(whole: CurveView, fine: CurveView, steps: tuple[int, int]) -> CurveView:
    before = [point for point in whole.points if point[0] < steps[0]]
    after = [point for point in whole.points if point[0] > steps[1]]
    return replace(fine, points=[*before, *fine.points, *after], clock=whole.clock)


def _make_bands(
    client: Client, asked: Asked, jobs: Sequence[int], metric: str, window: Window
) -> tuple[Sequence[Curve], Sequence[str]]:
    """A curve of each group; it is not smoothed, as its band is of what was measured."""
    axes = {view.job: find_axis(view, asked.x) for view in client.get_curves(jobs, [metric], points=1)}
    curves: list[Curve] = []
    notes: list[str] = []
    without: list[int] = []
    nowhere: list[int] = []
    for number, band in enumerate(_read_bands(client, jobs, metric, x=asked.x, window=window)):
        axis = axes[band.jobs[0]]
        if not any(count for *_, count in band.points):
            without += band.jobs
        elif axis is None:
            nowhere += band.jobs
        else:
            curve = _make_band(band, axis, asked, number=number, window=window)
            curves.append(curve)
            notes += _say_who_is_left(band, axis, curve.label, asked.x)
    return curves, [*notes, *_say_what_is_missing(without, nowhere, metric, asked.x)]


def _read_bands(
    client: Client, jobs: Sequence[int], metric: str, *, x: AxisName, window: Window
) -> Sequence[BandView]:
    """The groups' means, over steps exact within a window."""
    whole = client.get_bands(jobs, metric, points=MOST)
    if window is None or x != "step":
        return whole
    first, last = int(window[0]), int(window[1]) + 1
    fine = client.get_bands(jobs, metric, start=first, end=last, points=MOST)
    return [
        replace(
            one,
            points=[
                *(point for point in one.points if point[0] < first),
                *exact.points,
                *(point for point in one.points if point[0] > last),
            ],
        )
        for one, exact in zip(whole, fine, strict=True)
    ]


def _make_band(band: BandView, axis: Axis, asked: Asked, *, number: int, window: Window) -> Curve:
    """The mean of a group and its band, interrupted where fewer than two of several are left."""
    many = f"{len(band.jobs)} jobs" if len(band.jobs) > 1 else f"job {band.jobs[0]}"
    setting = ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in band.group.items())
    least = min(2, len(band.jobs))

    def draw(at: int) -> Sequence[Point]:
        values = ((row[0], None if row[-1] < least else row[at]) for row in band.points)
        line = [(axis.place(step), None if value is None else bound(value)) for step, value in values]
        return clip(line, window, logarithmic=asked.logarithmic)

    return Curve(
        key=str(band.jobs[0]) if len(band.jobs) == 1 else f"{number + 1}",
        label=f"{setting} ({many})" if setting else many,
        look=choose_look(number),
        last=band.points[-1][1] if band.points[-1][-1] >= least else None,
        points=draw(1),
        band=[(x, low, high) for (x, low), (_, high) in zip(draw(2), draw(3), strict=True)]
        if least > 1
        else (),
    )


def _say_who_is_left(band: BandView, axis: Axis, label: str, x: AxisName) -> Iterator[str]:
    """Where a mean is not that of all jobs of its group: some diverged there, or have not come so far."""
    fewer = [(step, count) for step, *_, count in band.points if count < len(band.jobs)]
    if fewer:
        first, last = fewer[0][0], fewer[-1][0]
        until = "" if last == band.points[-1][0] else f" to {axis.place(last):.6g}"
        least = min(count for _, count in fewer)
        yield f"{least} of {len(band.jobs)} from {x} {axis.place(first):.6g}{until}: {label}"
