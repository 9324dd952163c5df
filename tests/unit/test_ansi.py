"""Logs keep the colours of terminals, and nothing else that an escape sequence can do."""

import pytest

from service.web.ansi import Piece, color_lines


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("plain", [Piece("plain", "")]),
        ("\x1b[1;31mred\x1b[0m and", [Piece("red", "bold ansi-red"), Piece(" and", "")]),
        ("\x1b[92mgreen\x1b[39m.", [Piece("green", "ansi-green"), Piece(".", "")]),
        ("\x1b]0;title\x07after", [Piece("after", "")]),
        ("\x1b[2J\x1b[10;5Hmoved", [Piece("moved", "")]),
        (" 10 %\r 20 %\r 30 %", [Piece(" 30 %", "")]),
        ("\u202etext\x07", [Piece("\\u202etext\\x07", "")]),
        ("\x1b[38;5;196mmany", [Piece("many", "")]),
        ("", []),
    ],
)
def test_a_line_is_pieces_of_one_style(line: str, pieces: list[Piece]) -> None:
    assert color_lines([line]) == [pieces]
