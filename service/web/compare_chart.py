"""The charts of a comparison: the curves of a metric, their means by group, and settings against results."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from cnnctl.client import Client
from cnnctl.views.curves import BandView, CurveView
from cnnctl.views.jobs import ComparisonView, VariedField
from service.web.chart import Chart, Curve, Dot, choose_look
from service.web.chart_scale import bound
from service.web.compare_address import Asked
from service.web.curve_axis import LABELS, Axis, AxisName, find_axis
from service.web.curve_lines import cut, smooth, trace

MOST_POINTS = 12_000  # of all curves together: more than a screen has
FEWEST, MOST = 120, 600  # of one
Window = tuple[float, float] | None


def make_curves_chart(
    client: Client, asked: Asked, jobs: Sequence[int], *, metric: str, window: Window = None
) -> Chart:
    """The curves of a metric, or the means of groups of jobs that differ only in their seeds."""
    make = _make_bands if asked.grouped else make_curves
    curves, notes = make(client, jobs, metric, x=asked.x, weight=asked.smooth, window=window)
    return Chart(
        title=f"smoothed by {asked.smooth:g}" if asked.smooth and not asked.grouped else "",
        x_label=LABELS[asked.x],
        y_label=f"{metric}, mean and 95 % band" if asked.grouped else metric,
        curves=curves,
        notes=notes,
        logarithmic=asked.logarithmic,
        x_range=window,
    )


def make_curves(
    client: Client, jobs: Sequence[int], metric: str, *, x: AxisName, weight: float, window: Window
) -> tuple[Sequence[Curve], Sequence[str]]:
    """A curve of each job that has the metric, and what to say of the others."""
    found = read_curves(client, jobs, [metric], x=x, window=window, before=weight > 0)
    curves, without, nowhere = [], [], []
    for number, view in enumerate(found):
        axis = find_axis(view, x)
        if not view.points:
            without.append(view.job)
        elif axis is None:
            nowhere.append(view.job)
        else:
            curves.append(make_curve(view, axis, number=number, weight=weight, window=window))
    return curves, list(_say_what_is_missing(without, nowhere, metric, x))


def make_curve(view: CurveView, axis: Axis, *, number: int, weight: float, window: Window) -> Curve:
    """A curve of a job; smoothed, with what was measured behind it."""
    measured = cut(list(trace(view, axis)), window)
    return Curve(
        key=str(view.job),
        label=f"Job {view.job}",
        look=choose_look(number),
        last=view.last,
        points=cut(list(smooth(view, axis, weight=weight)), window) if weight else measured,
        behind=measured if weight else (),
    )


def _say_what_is_missing(
    without: Sequence[int], nowhere: Sequence[int], metric: str, x: AxisName
) -> Iterator[str]:
    for jobs, what in ((without, metric), (nowhere, "whole epoch" if x == "epoch" else "known speed")):
        if jobs:
            few = ", ".join(map(str, jobs[:8])) + (f" and {len(jobs) - 8} more" if len(jobs) > 8 else "")
            yield f"Not shown, without {what}: {few}"


def read_curves(
    client: Client, jobs: Sequence[int], metrics: Sequence[str], *, x: AxisName, window: Window, before: bool
) -> Sequence[CurveView]:
    """The curves within a window of their axis; `before` it as much again, for what is smoothed."""
    points = max(FEWEST, min(MOST, MOST_POINTS // (len(jobs) * len(metrics))))
    if window is None:
        return client.get_curves(jobs, metrics, points=points)
    start = max(0.0, 2 * window[0] - window[1]) if before else window[0]
    if x == "step":
        return client.get_curves(jobs, metrics, start=int(start), end=int(window[1]) + 1, points=points)
    whole = client.get_curves(jobs, metrics[:1], points=FEWEST)
    of_range: Mapping[tuple[int, int], list[int]] = defaultdict(list)
    for view in whole:
        if axis := find_axis(view, x):
            of_range[int(axis.find_step(start)), int(axis.find_step(window[1])) + 1].append(view.job)
    found = [
        view
        for (first, last), some in of_range.items()
        for view in client.get_curves(some, metrics, start=first, end=last, points=points)
    ]
    return sorted(found, key=lambda view: list(jobs).index(view.job))


def _make_bands(
    client: Client, jobs: Sequence[int], metric: str, *, x: AxisName, weight: float, window: Window
) -> tuple[Sequence[Curve], Sequence[str]]:
    """A curve of each group; it is not smoothed, as its band is of what was measured."""
    axes = {}
    if x == "epoch":
        axes = {view.job: find_axis(view, x) for view in client.get_curves(jobs, [metric], points=1)}
    start, end = (None, None) if window is None or x == "epoch" else (int(window[0]), int(window[1]) + 1)
    curves: list[Curve] = []
    without: list[int] = []
    nowhere: list[int] = []
    for number, band in enumerate(client.get_bands(jobs, metric, start=start, end=end, points=MOST)):
        axis = Axis(steps=(0, 1), places=(0, 1)) if x == "step" else axes.get(band.jobs[0])
        if not band.points:
            without += band.jobs
        elif axis is None:
            nowhere += band.jobs
        else:
            curves.append(_make_band(band, axis, number=number, window=window))
    return curves, list(_say_what_is_missing(without, nowhere, metric, x))


def _make_band(band: BandView, axis: Axis, *, number: int, window: Window) -> Curve:
    many = f"{len(band.jobs)} jobs" if len(band.jobs) > 1 else f"job {band.jobs[0]}"
    setting = ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in band.group.items())
    points = [(axis.place(step), bound(mean)) for step, mean, *_ in band.points]
    within = (
        (axis.place(step), bound(low), bound(high))
        for step, _, low, high, _ in band.points
        if low is not None and high is not None
    )
    return Curve(
        key=str(band.jobs[0]) if len(band.jobs) == 1 else f"{number + 1}",
        label=f"{setting} ({many})" if setting else many,
        look=choose_look(number),
        last=points[-1][1],
        points=cut(points, window),
        band=[one for one in within if window is None or window[0] <= one[0] <= window[1]],
    )


def list_settings(view: ComparisonView) -> Sequence[VariedField]:
    """What somebody chose, and not all alike."""
    return [*view.spec, *view.scheduling]


def make_scatter(view: ComparisonView, setting: str, metric: str) -> Chart:
    """A dot for each job: what was chosen, and what came of it."""
    chosen = _find(list_settings(view), setting, len(view.jobs))
    results = _find(view.metrics, metric, len(view.jobs))
    numbers = [_find_number(value) for value in chosen]
    names = [] if None not in numbers else sorted({_name(value) for value in chosen})
    dots = [
        Dot(
            x=float(names.index(_name(value))) if names else float(at or 0),
            y=float(result),
            label=str(job),
            look=choose_look(number),
        )
        for number, (job, value, at, result) in enumerate(
            zip(view.jobs, chosen, numbers, results, strict=True)
        )
        if isinstance(result, (int, float))
    ]
    alike = [
        f"All these jobs have the same {name}"
        for name, values in ((setting, chosen), (metric, results))
        if all(value is None for value in values)
    ]
    return Chart(title="", x_label=setting, y_label=metric, dots=dots, names=names, notes=alike)


def _find(fields: Sequence[VariedField], name: str, count: int) -> Sequence[object]:
    return next((one.values for one in fields if one.field == name), [None] * count)


def _find_number(value: object) -> float | None:
    """A number as one, where it is no yes or no."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _name(value: object) -> str:
    return "–" if value is None else str(value)
