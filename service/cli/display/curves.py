"""Draws loss and accuracy over the epochs in the terminal."""

import shutil
import sys
from collections.abc import Mapping, Sequence

import plotext

Series = Mapping[str, Sequence[tuple[int, float | None]]]
PANELS = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy")}
HEIGHT = 15


def draw_curves(series: Series, *, title: str) -> str:
    """Draw the plots one under the other, as text; in colour on a terminal."""
    return "\n".join(
        _draw(series, names, f"{title}: {panel}")
        for panel, names in PANELS.items()
        if any(name in series for name in names)
    )


def _draw(series: Series, names: tuple[str, ...], title: str) -> str:
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(shutil.get_terminal_size((100, 30)).columns, 110), HEIGHT)
    # Two markers, so that the curves differ without colour too.
    for name, color, marker in zip(names, ("blue", "orange"), ("braille", "dot"), strict=True):
        points = [(step, value) for step, value in series.get(name, []) if value is not None]
        if points:
            steps, values = zip(*points, strict=True)
            last = f"{name} {values[-1]:.4f}"
            plotext.plot(list(steps), list(values), label=last, color=color, marker=marker)
    plotext.title(title)
    plotext.xlabel("step")
    canvas = str(plotext.build())
    return canvas if sys.stdout.isatty() else str(plotext.uncolorize(canvas))
