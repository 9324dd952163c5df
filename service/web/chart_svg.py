"""Draws a chart as SVG for pages and papers: on white, with presentation attributes alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from service.visible import escape as make_visible
from service.web.chart import Chart, Curve, Look, Point
from service.web.chart_scale import Scale, format_tick, format_value, is_wide, make_scale

INK, QUIET, LINES = "#1c1c1a", "#5e5e59", "#e4e4df"
LEFT, RIGHT, TOP, BELOW = 64, 44, 34, 46  # pixels around the plot
FONT, LETTER, LINE = 12, 6.4, 18  # size of the letters, about their width, and the distance of lines
ENTRY = 210  # width of an entry of the legend
MOST_ENDS = 12  # curves whose keys stand at their ends
LONGEST = 60  # letters of a label


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """Both axes of a chart on its paper."""

    x: Scale
    y: Scale

    def path(self, points: Sequence[Point]) -> str:
        """The commands of a line that is interrupted where a value is None."""
        words, down = [], False
        for x, y in points:
            if y is not None:
                words.append(f"{'L' if down else 'M'}{self.x.place(x):.1f} {self.y.place(y):.1f}")
            down = y is not None
        return "".join(words)


def draw_chart(chart: Chart, *, width: int = 900, height: int = 420) -> str:
    """The chart as the text of an SVG; its legend comes below the height given, which is that of the plot."""
    values = list(chart.list_values())
    xs = [x for x, _ in values]
    left, right = chart.x_range or (min(xs, default=0.0), max(xs, default=1.0))
    wide = bool(chart.dots) and not chart.names and is_wide(xs)
    room = 0.08 if chart.dots else 0.0
    plot = _Plot(
        x=make_scale([left, right], start=LEFT, end=width - RIGHT, room=room, logarithmic=wide),
        y=_make_y_scale(chart, [y for _, y in values], start=height - BELOW, end=TOP),
    )
    parts = [*_draw_axes(chart, plot), *_draw_marks(chart, plot)]
    clipped = [part for curve in chart.curves for part in _draw_behind(curve, plot)]
    clipped += [part for curve in chart.curves for part in _draw_curve(curve, plot)]
    parts += ['<g clip-path="url(#plot)">', *clipped, "</g>", *_draw_ends(chart.curves, plot)]
    parts += _draw_dots(chart, plot)
    if not values:
        parts.append(write_text((LEFT + width - RIGHT) / 2, height / 2, "Nothing to show", anchor="middle"))
    legend, bottom = _draw_legend(chart, width=width, top=height + 6)
    return _wrap(chart, plot, [*parts, *legend], width=width, height=bottom)


def _make_y_scale(chart: Chart, values: Sequence[float], *, start: float, end: float) -> Scale:
    """Logarithmic where that is asked for, and some value can be shown so."""
    positive = [y for y in values if y > 0] if chart.logarithmic else []
    return make_scale(positive or values, start=start, end=end, logarithmic=bool(positive))


def _draw_axes(chart: Chart, plot: _Plot) -> Iterator[str]:
    x, y = plot.x, plot.y
    for value in y.list_ticks(6):
        at = y.place(value)
        yield f'<path d="M{x.start} {at:.1f}H{x.end}" stroke="{LINES}"/>'
        yield write_text(x.start - 8, at + 4, format_tick(value), anchor="end", fill=QUIET)
    yield f'<path d="M{x.start} {y.start}H{x.end}" stroke="{QUIET}"/>'
    ticks: list[tuple[float, str]] = list(enumerate(chart.names)) or [
        (at, format_tick(at)) for at in x.list_ticks(8)
    ]
    for place, words in ticks:
        at = x.place(place)
        yield f'<path d="M{at:.1f} {y.start}v4" stroke="{QUIET}"/>'
        yield write_text(at, y.start + 18, words[:24], anchor="middle", fill=QUIET)
    yield write_text((x.start + x.end) / 2, y.start + 37, chart.x_label, anchor="middle")
    yield write_text(8, 16, chart.y_label, weight="bold")
    yield write_text(x.end + RIGHT - 8, 16, chart.title, anchor="end", fill=QUIET)


def _draw_marks(chart: Chart, plot: _Plot) -> Iterator[str]:
    for place, words in chart.marks:
        if plot.x.low <= place <= plot.x.high:
            at = plot.x.place(place)
            yield f'<path d="M{at:.1f} {plot.y.end}V{plot.y.start}" stroke="{QUIET}" stroke-dasharray="2 4"/>'
            yield write_text(at + 4, plot.y.end + 10, words, fill=QUIET)


def _draw_behind(curve: Curve, plot: _Plot) -> Iterator[str]:
    """What lies behind all curves: bands, and what was measured of smoothed ones."""
    colour = curve.look.colour
    for piece in _split_band(curve):
        there = [(x, high) for x, _, high in piece]
        back = [(x, low) for x, low, _ in reversed(piece)]
        corners = " ".join(f"{plot.x.place(x):.1f},{plot.y.place(y):.1f}" for x, y in [*there, *back])
        yield f'<polygon points="{corners}" fill="{colour}" fill-opacity="0.18"/>'
    if curve.behind:
        yield _line(plot.path(curve.behind), Look(colour=colour), 'stroke-opacity="0.3" stroke-width="1"')


def _split_band(curve: Curve) -> Iterator[Sequence[tuple[float, float, float]]]:
    """The pieces of a band that nothing interrupts."""
    piece: list[tuple[float, float, float]] = []
    for x, low, high in [*curve.band, (0.0, None, None)]:
        if low is not None and high is not None:
            piece.append((x, low, high))
        elif piece:
            yield piece
            piece = []


def _draw_curve(curve: Curve, plot: _Plot) -> Iterator[str]:
    yield _line(plot.path(curve.points), curve.look, 'stroke-width="1.6"')
    alone = _list_alone(curve.points)
    yield "".join(
        f'<circle cx="{plot.x.place(x):.1f}" cy="{plot.y.place(y):.1f}" r="2.5" fill="{curve.look.colour}"/>'
        for x, y in alone
    )


def _list_alone(points: Sequence[Point]) -> Iterator[tuple[float, float]]:
    """The points without a neighbour, of which a line has nothing to draw."""
    for number, (x, y) in enumerate(points):
        beside = [points[other][1] for other in (number - 1, number + 1) if 0 <= other < len(points)]
        if y is not None and all(value is None for value in beside):
            yield x, y


def _line(path: str, look: Look, more: str) -> str:
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    return f'<path d="{path}" fill="none" stroke="{look.colour}" stroke-linejoin="round" {more}{dash}/>'


def _draw_ends(curves: Sequence[Curve], plot: _Plot) -> Iterator[str]:
    """The key of each curve at its end, moved apart where they would lie on each other."""
    if not 1 < len(curves) <= MOST_ENDS or any(len(curve.key) * LETTER > RIGHT - 6 for curve in curves):
        return
    ends = []
    for curve in curves:
        last = next(((x, y) for x, y in reversed(curve.points) if y is not None and x <= plot.x.high), None)
        if last is not None:
            ends.append((plot.y.place(last[1]) + 4, plot.x.place(last[0]) + 4, curve))
    written: list[tuple[float, float]] = []
    for y, x, curve in sorted(ends, key=lambda end: -end[0]):
        beside = [above for above, left in written if abs(left - x) < RIGHT]
        written.append((min([y, *(above - FONT for above in beside)]), x))
        yield write_text(x, written[-1][0], curve.key, fill=curve.look.colour)


def _draw_dots(chart: Chart, plot: _Plot) -> Iterator[str]:
    for dot in chart.dots:
        x, y = plot.x.place(dot.x), plot.y.place(dot.y)
        hint = f"<title>{escape(shorten(dot.label))}: {format_value(dot.y)}</title>"
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{dot.look.colour}">{hint}</circle>'
        if len(chart.dots) <= 2 * MOST_ENDS:
            yield write_text(x + 6, y + 4, dot.label, fill=QUIET)


def _draw_legend(chart: Chart, *, width: int, top: float) -> tuple[list[str], int]:
    """The parts of the legend and the notes, and where they end."""
    longest = max((len(shorten(curve.label)) for curve in chart.curves), default=0)
    entry = max(ENTRY, 100 + longest * LETTER)
    columns = max(1, int((width - LEFT) // entry))
    parts = []
    for number, curve in enumerate(chart.curves):
        row, column = divmod(number, columns)
        x, y = LEFT + column * entry, top + row * LINE
        parts.append(_line(f"M{x} {y + 8:.1f}h26", curve.look, 'stroke-width="2.4"'))
        parts.append(write_text(x + 32, y + 12, curve.label))
        parts.append(write_text(x + entry - 14, y + 12, format_value(curve.last), anchor="end", fill=QUIET))
    top += math.ceil(len(chart.curves) / columns) * LINE
    for note in chart.notes:
        parts.append(write_text(LEFT, top + 12, note, fill=QUIET))
        top += LINE
    return parts, math.ceil(top + 8)


def shorten(words: str) -> str:
    words = make_visible(words)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def write_text(x: float, y: float, words: str, *, anchor: str = "", fill: str = INK, weight: str = "") -> str:
    more = f' text-anchor="{anchor}"' if anchor else ""
    more += f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{more}>{escape(shorten(words))}</text>'


def _wrap(chart: Chart, plot: _Plot, parts: Sequence[str], *, width: int, height: int) -> str:
    title = f"{shorten(chart.y_label)} over {shorten(chart.x_label)}"
    said = ", ".join(f"{shorten(curve.label)}: {format_value(curve.last)}" for curve in chart.curves)
    clip = f'x="{plot.x.start}" y="{plot.y.end - 2}" width="{plot.x.end - plot.x.start}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{FONT}">\n'
        f"<title>{escape(title)}</title>\n<desc>{escape(said)}</desc>\n"
        f'<clipPath id="plot"><rect {clip} height="{plot.y.start - plot.y.end + 4}"/></clipPath>\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
