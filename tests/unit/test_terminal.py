"""What others have named or written is shown, and acts in nobody's terminal or spreadsheet."""

import io
import re
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from rich.table import Table

import service.cli
from service.cli.main import main
from service.cli.terminal import PlainConsole, echo, make_console, print_csv, say
from service.log import configure_log
from service.visible import escape

HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\u202e\u061cd\udce9\x00e"
SHOWN = r"a\x1b]0;owned\x07b\x9b31mc\u202e\u061cd\xe9\x00e"


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


def test_a_path_with_colons_is_shown_as_it_is() -> None:
    file = io.StringIO()
    make_console(file=file).print("folder:/data/:fire:/[bold]x")
    assert file.getvalue() == "folder:/data/:fire:/[bold]x\n"


def test_the_log_of_a_process_acts_in_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    configure_log("info")
    try:
        structlog.get_logger().warning("attempt", action="failed", path=HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            structlog.get_logger().exception("attempt")
    finally:
        structlog.reset_defaults()
    written = capfd.readouterr().err
    assert written.count("owned") >= 2
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x00"} & set(written)


def test_an_option_that_there_is_none_of_is_shown() -> None:
    done = CliRunner().invoke(main, ["list", "--\x1b]0;owned\x07"])
    assert done.exit_code == 2
    assert not {"\x1b", "\x07"} & set(done.output)
    assert "owned" in done.output


def test_no_cell_is_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[object]] = [
        ['=HYPERLINK("http://x")', -1.5, 3],
        ["+1", "@sum", "-2"],
        ["ada", "", None],
        ["＝1", "a=1", ""],
    ]
    rows.append(["\x1b[2J", "a,b", '"'])
    print_csv(["name", "one", "two"], rows)
    assert capsys.readouterr().out.splitlines() == [
        "name,one,two",
        '"\'=HYPERLINK(""http://x"")",-1.5,3',
        "'+1,'@sum,'-2",
        "ada,,",
        "'＝1,a=1,",
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
