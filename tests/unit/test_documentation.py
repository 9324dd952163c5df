"""What is not documented is not done."""

import importlib
import inspect
import re
from pathlib import Path

import click
import pytest

from docs.generate import FOLDER, pages
from service.cli.main import COMMANDS
from service.domain.states import AttemptState, GpuState, JobState, Outcome
from workers.train.reporter import Reporter

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == pages()[name], "run: python -m docs.generate"


def test_every_state_is_documented() -> None:
    text = (FOLDER / "states.md").read_text()
    for state in (*JobState, *AttemptState, *Outcome, *GpuState):
        assert f"`{state.value}`" in text


def test_every_kind_of_event_is_documented() -> None:
    kinds = re.findall(r'_write\(\s*"(\w+)"', inspect.getsource(Reporter))
    assert len(kinds) >= 7
    text = (FOLDER / "events.md").read_text()
    for kind in kinds:
        assert f"| `{kind}` |" in text


def test_every_command_has_the_summary_that_help_shows() -> None:
    for name, (module, summary) in COMMANDS.items():
        command = importlib.import_module(module).command
        assert isinstance(command, click.Command)
        assert command.name == name
        assert command.get_short_help_str(limit=200) == summary


def test_every_command_that_prints_json_has_its_shape_documented() -> None:
    text = (FOLDER / "json.md").read_text()
    for name, (module, _) in COMMANDS.items():
        command = importlib.import_module(module).command
        if any("--json" in option.opts for option in command.params):
            assert f"cnnctl {name}" in text, name


def test_every_page_that_the_readme_names_is_there() -> None:
    for path in re.findall(r"docs/\w+\.md", (ROOT / "README.md").read_text()):
        assert (ROOT / path).is_file(), path


def test_no_file_has_a_name_that_says_nothing() -> None:
    files = [*ROOT.glob("service/**/*.py"), *ROOT.glob("workers/**/*.py"), *ROOT.glob("models/**/*.py")]
    assert {path.stem for path in files}.isdisjoint({"utils", "helpers", "common", "manager"})
