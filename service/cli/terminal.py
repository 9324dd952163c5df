"""Writes to the terminal for all commands, so that text from other people cannot control it.

A dataset's path, a file's name or a reason may contain escape sequences. They are printed as visible text:
they do nothing in the reader's terminal. Only tables and plots that cnnctl draws have colours.
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
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # also the full-width forms, which some spreadsheets treat alike


def echo(message: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a line of text."""
    click.echo(escape(str(message)), err=err, nl=nl)


def say(message: str) -> None:
    """Talk to the person, on standard error, so that standard output stays data."""
    echo(message, err=True)


def print_drawing(text: str) -> None:
    """Print a plot with its colours; it is made of numbers alone, so it needs no escaping."""
    click.echo(text)


def print_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print comma-separated lines whose cells no spreadsheet evaluates.

    Source: OWASP, CSV injection: a cell that begins with one of these characters is read as a formula.
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
    """A console that prints escape sequences as visible text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape(segment.text), segment.style)


def make_console(**options: Any) -> Console:
    """Make a console for tables: as wide as the terminal; in a pipe, wide enough for one line per row.

    Markup and emoji codes are off: paths and reasons may contain brackets and colons.
    """
    width = None if sys.stdout.isatty() or options else PIPE_WIDTH
    return PlainConsole(width=width, highlight=False, markup=False, emoji=False, **options)


def prepare_streams() -> None:
    """Keep a command alive if a stream is closed, or if its encoding lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
