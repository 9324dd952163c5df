"""The one way out to a terminal: what others have named, written or failed with cannot steer it.

A dataset's path, a file's name or a reason may hold escape sequences, which would act in the terminal of
whoever looks: they are shown as text. Only what is drawn here has colours.
"""

import csv
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from service.visible import escape

PIPE_WIDTH = 160
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # the wide ones too, which some spreadsheets take for the others


def echo(message: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a line of text."""
    click.echo(escape(str(message)), err=err, nl=nl)


def say(message: str) -> None:
    """Talk to the person, on standard error, so that standard output stays data."""
    echo(message, err=True)


def print_drawing(text: str) -> None:
    """Print what was drawn here, of numbers alone, with its own colours."""
    click.echo(text)


def print_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print comma-separated lines; a spreadsheet computes none of their cells.

    Source: OWASP, CSV injection: what begins with one of these characters is taken for a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow(
            [f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA else cell for cell in row]
        )
    echo(text.getvalue().replace("\r\n", "\n"), nl=False)


class PlainConsole(Console):
    """A console that shows what it is given, and acts on none of it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape(segment.text), segment.style)


def make_console(**options: Any) -> Console:
    """A console for tables: as wide as the terminal, and wide enough for a line a row in a pipe.

    Without markup and emoji codes: what a trainer or a path says may have brackets and colons.
    """
    width = None if sys.stdout.isatty() or options else PIPE_WIDTH
    return PlainConsole(width=width, highlight=False, markup=False, emoji=False, **options)


def prepare_streams() -> None:
    """Let no terminal's alphabet and no closed stream end a command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever called
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
