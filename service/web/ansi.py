"""Colours of terminals in a log: as classes, and nothing else of what an escape sequence could do."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.visible import escape

_STYLE = re.compile(r"\x1b\[([0-9;]{0,40})m")
_OTHER = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]*[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[@-Z\\-_])")
COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
LONGEST_LINE = 2000


class Piece(NamedTuple):
    """A piece of a line, and the classes that it is written in."""

    text: str
    style: str


def color_lines(lines: Sequence[str]) -> Sequence[Sequence[Piece]]:
    """The lines in pieces of one style each; of a line that was drawn over, only what it was at last."""
    return [list(_split(line[-LONGEST_LINE:].rstrip("\r").rpartition("\r")[2])) for line in lines]


def _split(line: str) -> Iterator[Piece]:
    bold, color = False, ""
    for number, part in enumerate(_STYLE.split(line)):
        if number % 2 == 0:
            text = escape(_OTHER.sub("", part))
            if text:
                yield Piece(text, " ".join(["bold"] * bold + [f"ansi-{color}"] * bool(color)))
            continue
        for code in part.split(";"):
            value = int(code or 0)
            if value == 0:
                bold, color = False, ""
            elif value == 1:
                bold = True
            elif 30 <= value <= 37 or 90 <= value <= 97:
                color = COLORS[value % 10]
            elif value == 39:
                color = ""
