"""What others have named or written is shown, and acts in nobody's terminal or spreadsheet."""

import io
import re
from pathlib import Path

import pytest
from rich.table import Table

import service.cli
from service.cli.terminal import PlainConsole, echo, escape, print_csv, say

HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\u202ed\udce9\x00e"
SHOWN = r"a\x1b]0;owned\x07b\x9b31mc\u202ed\xe9\x00e"


def test_what_a_terminal_would_act_on_is_shown_as_text() -> None:
    assert escape(HOSTILE) == SHOWN
    assert (
        escape("tab\tand\nlines, umlauts äöü, 日本語, █ and …")
        == "tab\tand\nlines, umlauts äöü, 日本語, █ and …"
    )
    assert escape(SHOWN) == SHOWN


def test_lines_and_errors_go_that_way(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    say(HOSTILE)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")


@pytest.mark.parametrize("width", [30, 120])
def test_a_table_keeps_its_columns_around_it(width: int) -> None:
    table = Table("NAME", "STATE")
    table.add_row(HOSTILE, "running", style="red")
    file = io.StringIO()
    PlainConsole(file=file, width=width, force_terminal=True, color_system="standard").print(table)
    drawn = file.getvalue()
    assert "\x1b[31m" in drawn  # our own colour
    assert set(re.findall("\x1b.", drawn)) == {"\x1b["}
    assert not {"\x07", "\x9b", "\u202e", "\udce9", "\x00"} & set(drawn)
    plain = re.sub("\x1b\\[[0-9;]*m", "", drawn)
    assert len({len(line) for line in plain.splitlines()}) == 1


def test_no_cell_is_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[object]] = [['=HYPERLINK("http://x")', -1.5, 3], ["+1", "@sum", "-2"], ["ada", "", None]]
    rows.append(["\x1b[2J", "a,b", '"'])
    print_csv(["name", "one", "two"], rows)
    assert capsys.readouterr().out.splitlines() == [
        "name,one,two",
        '"\'=HYPERLINK(""http://x"")",-1.5,3',
        "'+1,'@sum,'-2",
        "ada,,",
        r'\x1b[2J,"a,b",""""',
    ]


def test_there_is_one_way_out() -> None:
    """A test of the code: a second way to print would be open again."""
    folder = Path(service.cli.__path__[0])
    others = [path for path in folder.rglob("*.py") if path.name != "terminal.py"]
    assert len(others) > 20
    for path in others:
        ways_out = r"click\.s?echo\(|(?<!\.)\b(?:Console|print)\(|sys\.stdout\.write"
        assert not re.search(ways_out, path.read_text()), path
