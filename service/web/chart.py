"""What a chart shows: curves, dots and marks, with their looks; drawn by `chart_svg` and in the browser."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TRAIN, VALIDATION = "#2567d8", "#b85f00"  # as in the style sheet, on white
# Each stands out from white and from the dark ground by 3 to 1 or more.
COLOURS = (
    "#3578e0",
    "#c4660a",
    "#1f9268",
    "#d64550",
    "#8f63d6",
    "#8a7a14",
    "#c94f9b",
    "#1590a5",
    "#a0703c",
    "#7d7d7d",
)
DASHES = ("", "7 3", "2 3", "9 3 2 3", "14 4", "5 5", "2 6", "9 3 2 3 2 3", "16 3 4 3", "1 2")

Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a curve is told from others: by colour, and by its dashes."""

    colour: str
    dash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A line of a chart; None as a value interrupts it."""

    key: str
    """Short: a job's number."""
    label: str
    look: Look
    last: float | None
    points: Sequence[Point]
    behind: Sequence[Point] = ()
    """The same as it was measured, where the points are smoothed."""
    band: Sequence[tuple[float, float | None, float | None]] = ()
    """What lies around the points: place, lower and upper end; None interrupts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A job in a scatter."""

    x: float
    y: float
    label: str
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture with two axes."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve] = ()
    dots: Sequence[Dot] = ()
    marks: Sequence[tuple[float, str]] = ()
    """Where something happened: a vertical line, and what it was."""
    names: Sequence[str] = ()
    """What stands at 0, 1, 2, … of the horizontal axis, where it has no numbers."""
    notes: Sequence[str] = ()
    """What is not shown, and why."""
    logarithmic: bool = False
    """Whether its values are; those of 0 and less lie below the paper."""
    x_range: tuple[float, float] | None = None
    """Where it begins and ends; None: where its points do."""

    def list_values(self) -> Iterator[tuple[float, float]]:
        """All that is drawn, as places on both axes."""
        for curve in self.curves:
            for line in (curve.points, curve.behind):
                yield from ((x, y) for x, y in line if y is not None)
            yield from ((x, end) for x, *ends in curve.band for end in ends if end is not None)
        for dot in self.dots:
            yield dot.x, dot.y


def say_missing(jobs: Sequence[int], what: str) -> Iterator[str]:
    """A note on jobs that a chart cannot show."""
    if jobs:
        few = ", ".join(map(str, jobs[:8])) + (f" and {len(jobs) - 8} more" if len(jobs) > 8 else "")
        yield f"Not shown, without {what}: {few}"


def choose_look(number: int) -> Look:
    """The look of the curve with this number in its chart, from 0."""
    round_, colour = divmod(number, len(COLOURS))
    return Look(colour=COLOURS[colour], dash=DASHES[round_ % len(DASHES)])
