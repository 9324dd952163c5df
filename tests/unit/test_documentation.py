"""What is not documented is not done."""

import dataclasses
import importlib
import re
from pathlib import Path

import click
import pytest

from docs.generate import FOLDER, pages
from service.cli.main import COMMANDS
from service.domain.states import (
    JOB_STATE_AFTER,
    JOB_TRANSITIONS,
    AttemptState,
    Cause,
    GpuState,
    JobState,
    Outcome,
)
from service.domain.trainer_events import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(FOLDER.glob("*.md"))]
# Name → what `make help` says.
TARGETS = dict(re.findall(r"^([a-z]+):[^#\n]*(?:## (.*))?$", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == pages()[name], "run: python -m docs.generate"


def test_every_state_is_documented() -> None:
    text = (FOLDER / "states.md").read_text()
    for state in (*JobState, *AttemptState, *Outcome, *Cause, *GpuState):
        assert f"`{state.value}`" in text


def rows_under(title: str) -> set[str]:
    """The first cells of the table under a heading of states.md, without their quotes."""
    _, _, section = (FOLDER / "states.md").read_text().partition(f"## {title}\n")
    return set(re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE))


def test_every_state_has_a_row_that_says_how_one_enters_and_leaves_it() -> None:
    assert rows_under("Jobs") == {state.value for state in JobState}
    assert rows_under("Attempts") == {state.value for state in (*AttemptState, *Outcome, *Cause)}


def test_the_diagram_of_jobs_has_exactly_the_transitions_of_the_code() -> None:
    text = (FOLDER / "states.md").read_text()
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", text, re.MULTILINE))
    assert drawn == {(a.value, b.value) for a, after in JOB_TRANSITIONS.items() for b in after}


def test_the_outcomes_lead_where_the_page_says() -> None:
    text = (FOLDER / "states.md").read_text()
    for outcome, state in JOB_STATE_AFTER.items():
        (becomes,) = re.findall(rf"^\| `{outcome.value}` \| .* \| (.*) \|$", text, re.MULTILINE)[-1:]
        assert becomes.startswith(f"`{state.value}`")


def test_every_kind_of_event_is_documented_with_its_fields() -> None:
    text = (FOLDER / "events.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    documented = {kind: sorted(re.findall(r"`(\w+)`", fields)) for kind, fields in rows.items()}
    declared = {kind: sorted(one.name for one in dataclasses.fields(event)) for event, kind in KINDS.items()}
    assert documented == declared


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


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_and_make_target_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    named = re.findall(
        r"\b((?:cnnctl|service|workers|models|migrations|tests|docs)/[\w./-]+\.(?:py|md))", text
    )
    assert [path for path in named if not (ROOT / path).is_file()] == []
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert [path for path in linked if not (page.parent / path).is_file()] == []
    assert set(re.findall(r"(?:`|    )make (\w+)", text)) <= TARGETS.keys()


def test_every_make_target_has_its_sentence_in_make_help() -> None:
    assert [target for target, sentence in TARGETS.items() if not sentence] == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    folders = ("cnnctl", "service", "workers", "models", "migrations", "docs", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert files
    assert {path.stem for path in files}.isdisjoint({"utils", "helpers", "common", "manager"})
