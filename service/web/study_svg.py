"""Draws what a study came to as SVG: its intervals as a forest, and a dot for each run.

All that is written stands above what it names, so that a picture fits a telephone. Its colours are those of
the style sheet on white; a page that is dark replaces them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from cnnctl.views.studies import ArmPoint, ContrastView, StudyReport, Verdict
from service.domain.studies.statistics import spread_equal
from service.domain.studies.words import find_headline
from service.web.chart import choose_look
from service.web.chart_scale import Scale, bound, find_step, format_tick, format_value, make_scale
from service.web.chart_svg import FONT, INK, LETTER, LINES, QUIET, shorten, write_text

WIDTH = 360
EDGE, TOP, FOOT = 14, 8, 46  # pixels beside the plot, above it, and for its axis
ROW, LEVEL = 52, 40  # height of a row, and where in it its values lie
BESIDE, MOST_BESIDE = 3.0, 7  # pixels between dots that would lie on each other, and how many are moved
FEW = 100  # runs of an arm that can be counted
LINEAR = 20.0  # margins; an axis that reaches further is as an arsinh
LEAST = 1e-300  # whose logarithm is a number
BAND = "#2567d8"
COLOURS: Mapping[Verdict, str] = {
    "confirmed": "#12785a",
    "opposite": "#b3202e",
    "equal": "#1f5fd0",
    "too weak": "#8a5a00",
}


def draw_forest(report: StudyReport, *, width: int = WIDTH) -> str:
    """The interval of each contrast, in units of its margin: within the band, two arms count as equal."""
    rows = [_to_margins(one) for one in report.contrasts]
    reach = 1.1 * max([2.0, *(abs(value) for row in rows for value in row if value is not None)])
    curved = reach > LINEAR
    scale = Scale(
        low=_turn(-reach, curved=curved), high=_turn(reach, curved=curved), start=EDGE, end=width - EDGE
    )

    def place(value: float) -> float:
        return scale.place(_turn(value, curved=curved))

    bottom = TOP + ROW * len(rows) + 4
    left, right = place(-1), place(1)
    parts = [
        f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{bottom - TOP}" '
        f'fill="{BAND}" fill-opacity="0.13"/>',
        f'<path d="M{place(0):.1f} {TOP}V{bottom}" stroke="{QUIET}" stroke-dasharray="2 3"/>',
    ]
    for number, (one, row) in enumerate(zip(report.contrasts, rows, strict=True)):
        top = TOP + ROW * number
        parts += _name_contrast(one, top, width)
        parts += _draw_interval([None if value is None else place(value) for value in row], top + LEVEL, one)
    ticks = [(place(value), format_tick(value)) for value in _list_ticks(reach, curved=curved)]
    ratios = "; of ratios by logarithms" if any(one.ratio for one in report.contrasts) else ""
    parts += _draw_axis(ticks, bottom, width, f"(first − second) / margin{ratios}")
    said = "; ".join(one.words for one in report.contrasts)
    return _wrap("95 % intervals of all contrasts", said, parts, width=width, height=bottom + FOOT)


def _to_margins(one: ContrastView) -> Sequence[float | None]:
    """Lower end, mean and upper end."""

    def turn(value: float | None) -> float | None:
        if value is None:
            return None
        ratio = math.log(max(value, LEAST)) / math.log(one.margin) if one.ratio else value / one.margin
        return bound(ratio)

    return [turn(one.low), turn(one.mean), turn(one.high)]


def _turn(value: float, *, curved: bool) -> float:
    return math.asinh(value) if curved else value


def _list_ticks(reach: float, *, curved: bool) -> Sequence[float]:
    if not curved:
        step = find_step(reach / 4)
        return [number * step for number in range(-4, 5) if abs(number * step) <= reach]
    powers = int(math.log10(reach))
    sizes = [10.0**power for power in range(0, powers + 1, max(1, math.ceil(powers / 3)))]
    return [*(-size for size in reversed(sizes)), 0.0, *sizes]


def _name_contrast(one: ContrastView, top: float, width: int) -> Iterator[str]:
    room = int((width - 2 * EDGE) / LETTER) - len(one.verdict) - 3
    names = _cut(f"{one.first} against {one.second}", room)
    yield write_text(EDGE, top + 14, names)
    yield write_text(
        width - EDGE, top + 14, one.verdict, anchor="end", fill=COLOURS[one.verdict], weight="bold"
    )
    yield write_text(EDGE, top + 28, _cut(one.metric, room), fill=QUIET)


def _draw_interval(places: Sequence[float | None], y: float, one: ContrastView) -> Iterator[str]:
    low, mean, high = places
    if mean is None:
        yield write_text(EDGE, y + 4, "no pair of runs has ended", fill=QUIET)
        return
    if low is not None and high is not None:
        whisker = f"M{low:.1f} {y - 4}v8m0 -4H{high:.1f}m0 -4v8"
        yield f'<path d="{whisker}" stroke="{INK}" stroke-width="1.6" fill="none"/>'
    else:
        yield write_text(mean + 8, y + 4, "no interval", fill=QUIET)
    yield f'<circle cx="{mean:.1f}" cy="{y}" r="4" fill="{INK}"/>'


def list_metrics(report: StudyReport) -> Sequence[str]:
    """The metrics that a study compares; that which decides first."""
    headline = find_headline(report.contrasts)
    return list(dict.fromkeys(one.metric for one in (headline, *report.contrasts)))


def list_points(report: StudyReport, metric: str) -> Mapping[str, Mapping[int, ArmPoint]]:
    """Of each arm that is compared in a metric its runs, by seed; in the order of the arms."""
    found: dict[str, dict[int, ArmPoint]] = {arm.name: {} for arm in report.arms}
    for one in report.contrasts:
        if one.metric == metric:
            found[one.first].update({point.seed: point for point in one.first_points})
            found[one.second].update({point.seed: point for point in one.second_points})
    return {arm: points for arm, points in found.items() if points}


def draw_dots(report: StudyReport, metric: str, *, width: int = WIDTH) -> str:
    """A dot for each run, in a row for each arm; lines join the runs of a seed."""
    arms = list_points(report, metric)
    values = [point.value for points in arms.values() for point in points.values()]
    scale = make_scale(values, start=EDGE + 4, end=width - EDGE - 4)
    bottom = TOP + ROW * max(1, len(arms)) + 8
    ticks = [(scale.place(value), format_tick(value)) for value in scale.list_ticks(max(2, width // 75))]
    lines, dots, names = [], [], []
    looks = {arm.name: choose_look(number).colour for number, arm in enumerate(report.arms)}
    rows = list(arms.items())
    for number, (arm, points) in enumerate(rows):
        level = TOP + ROW * number + LEVEL
        names.append(_set_apart(write_text(EDGE, level - 20, _name_arm(arm, list(points.values()), width))))
        most = MOST_BESIDE if len(points) <= FEW else 1
        places = [scale.place(point.value) for point in points.values()]
        dots += [
            _draw_dot(point, x, level + BESIDE * beside, looks[arm])
            for point, x, beside in zip(points.values(), places, spread_equal(places, most=most), strict=True)
        ]
        for seed, point in rows[number - 1][1].items() if number else ():
            if seed in points:
                above, here = scale.place(point.value), scale.place(points[seed].value)
                join = f"M{above:.1f} {level - ROW}L{here:.1f} {level}"
                lines.append(f'<path d="{join}" stroke="{QUIET}" stroke-opacity="0.4"/>')
    parts = [*dict.fromkeys(lines), *dict.fromkeys(dots), *names]  # many runs lie on the same pixels
    if not arms:
        parts.append(write_text(EDGE, TOP + LEVEL, "no pair of runs has ended", fill=QUIET))
    parts = [*_draw_axis(ticks if arms else [], bottom, width, metric, up=bottom - TOP), *parts]
    return _wrap(f"{metric} of each run", "; ".join(arms), parts, width=width, height=bottom + FOOT)


def _set_apart(text: str) -> str:
    """A text that can be read where lines cross it."""
    return f'<g stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">{text}</g>'


def _name_arm(arm: str, points: Sequence[ArmPoint], width: int) -> str:
    never = sum(point.censored for point in points)
    mean = math.fsum(bound(point.value) for point in points) / len(points)
    figures = (
        f"{never} of {len(points)} never arrived" if never else f"mean {format_value(mean)} of {len(points)}"
    )
    return f"{_cut(arm, int((width - 2 * EDGE) / LETTER) - len(figures) - 3)}: {figures}"


def _draw_dot(point: ArmPoint, x: float, y: float, colour: str) -> str:
    look = f'fill="#fff" stroke="{colour}" stroke-width="1.6"' if point.censored else f'fill="{colour}"'
    return f'<circle cx="{x:.1f}" cy="{y:g}" r="4" fill-opacity="0.85" {look}/>'


def _draw_axis(
    ticks: Sequence[tuple[float, str]], y: float, width: int, label: str, *, up: float = 0
) -> Iterator[str]:
    yield f'<path d="M{EDGE} {y}H{width - EDGE}" stroke="{QUIET}"/>'
    for x, words in ticks:
        if up:
            yield f'<path d="M{x:.1f} {y}v-{up}" stroke="{LINES}"/>'
        yield f'<path d="M{x:.1f} {y}v4" stroke="{QUIET}"/>'
        yield write_text(x, y + 18, words, anchor="middle", fill=QUIET)
    yield write_text(width / 2, y + 37, _cut(label, int(width / LETTER)), anchor="middle")


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else f"{words[: max(1, letters - 1)]}…"


def _wrap(title: str, said: str, parts: Sequence[str], *, width: int, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(shorten(title))} '
        f'width="{width}" height="{height:.0f}" viewBox="0 0 {width} {height:.0f}" font-family="sans-serif" '
        f'font-size="{FONT}">\n<desc>{escape(shorten(said))}</desc>\n'
        f'<rect width="{width}" height="{height:.0f}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
