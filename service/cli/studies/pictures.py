"""Draws a study's report with Matplotlib: a dot for each seed, a forest of intervals, curves with bands.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; each arm has a marker of its own,
so that a print in gray can be read, too.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

from cnnctl.views.studies import ContrastView, StudyReport
from service.domain.studies.measures import find_curve
from service.domain.studies.statistics import mean_with_band, spread_equal
from service.domain.studies.words import find_headline
from service.errors import MissingExtra

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_CONTRASTS = 12
CURVE = "val_accuracy"


def draw_picture(report: StudyReport, *, form: str = "svg") -> bytes:
    """One picture of a report, as svg or png.

    Raises:
        MissingExtra: Matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # imported late: 0.5 s
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"Pictures need a package that is not installed: {error.name}. "
            "Install it with: pip install 'cnnctl[report]'"
        ) from None
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    places = figure.subplot_mosaic([["dots", "forest"], ["curves", "curves"]], width_ratios=(1, 1.2))
    headline = find_headline(report.contrasts)
    _draw_dots(places["dots"], report, headline)
    _draw_forest(places["forest"], report.contrasts[:MOST_CONTRASTS])
    _draw_curves(places["curves"], report, find_curve(headline.metric) or CURVE)
    places["curves"].xaxis.set_major_locator(MaxNLocator(integer=True))
    written = io.BytesIO()
    # Without a date or a random name in it, the same report gives the same file.
    about = {"Date": None} if form == "svg" else {}
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": report.digest}):
        figure.savefig(written, format=form, dpi=110, metadata=about)
    return written.getvalue()


def _style(report: StudyReport, arm: str) -> tuple[str, str]:
    number = [one.name for one in report.arms].index(arm)
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def _draw_dots(axes: Any, report: StudyReport, contrast: ContrastView) -> None:
    """The runs of a contrast, equal ones beside each other; a line joins those of one seed."""
    sides = ((contrast.first, contrast.first_points), (contrast.second, contrast.second_points))
    beside = [spread_equal([point.value for point in points]) for _, points in sides]
    places = [[side + 0.05 * offset for offset in beside[side]] for side in (0, 1)]
    for ends, first, second in zip(zip(*places, strict=True), sides[0][1], sides[1][1], strict=True):
        axes.plot(ends, [first.value, second.value], color="#999999", linewidth=0.7, zorder=1)
    for side, (arm, points) in enumerate(sides):
        colour, marker = _style(report, arm)
        for x, point in zip(places[side], points, strict=True):
            face = "none" if point.censored else colour
            axes.scatter([x], [point.value], marker=marker, facecolors=face, edgecolors=colour, zorder=2)
    axes.set_xticks([0, 1], [contrast.first, contrast.second])
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylabel(contrast.metric)
    never = contrast.censored_first + contrast.censored_second
    axes.set_title("a dot a run, a line a seed" + ("; hollow: never arrived" if never else ""), fontsize=9)


def _draw_forest(axes: Any, contrasts: Sequence[ContrastView]) -> None:
    """The interval of each contrast in units of its margin: within the band, arms count as equal."""
    names = []
    for row, one in enumerate(contrasts):
        names.append(f"{one.first} : {one.second}\n{one.metric}: {one.verdict}")
        if one.mean is None or one.low is None or one.high is None:
            axes.text(0, row, "no interval", ha="center", va="center", fontsize=8)
            continue
        low, mean, high = (_in_margins(value, one) for value in (one.low, one.mean, one.high))
        axes.plot([low, high], [row, row], color="black", linewidth=1.5)
        axes.plot([mean], [row], marker="o", color="black")
    axes.axvspan(-1, 1, color="#0072B2", alpha=0.12)
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    if max(map(abs, axes.get_xlim())) > 20:
        axes.set_xscale("symlog", linthresh=2)
    axes.set_xlabel("(first - second) / margin; of ratios by their logarithms", fontsize=8)
    axes.set_title("95 % intervals; shaded: equal within the margin", fontsize=9)


def _in_margins(value: float, contrast: ContrastView) -> float:
    return math.log(value) / math.log(contrast.margin) if contrast.ratio else value / contrast.margin


def _draw_curves(axes: Any, report: StudyReport, metric: str) -> None:
    """The mean of each arm with its 95 % band, epoch by epoch."""
    for arm, runs in report.curves.get(metric, {}).items():
        found = []
        for epoch in range(1, 1 + max(map(len, runs), default=0)):
            values = [value for run in runs if len(run) >= epoch and (value := run[epoch - 1]) is not None]
            if values:
                found.append((epoch, *mean_with_band(values)))
        if found:
            colour, marker = _style(report, arm)
            epochs, means, lows, highs = zip(*found, strict=True)
            every = max(1, len(epochs) // 10)
            axes.plot(epochs, means, color=colour, marker=marker, markersize=4, markevery=every, label=arm)
            axes.fill_between(epochs, lows, highs, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.set_title("mean over seeds with its 95 % band", fontsize=9)
    if axes.lines:
        axes.legend(fontsize=8, ncols=2)
