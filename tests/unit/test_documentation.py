"""What is not documented is not done."""

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from docs.generate import FOLDER, pages
from service.cli.main import COMMANDS
from service.cli.networks.list import command as list_command
from service.commands.jobs.status import get_job_view, get_result_view, list_job_views
from service.commands.ops.findings import Finding
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, Progress
from service.domain.metrics import Point
from service.domain.states import (
    JOB_STATE_AFTER,
    JOB_TRANSITIONS,
    Action,
    AttemptState,
    Cause,
    CheckpointKind,
    GpuState,
    JobState,
    Outcome,
)
from service.store.jobs import audit, checkpoints, metrics
from service.store.transaction import Store
from workers.train.process.reporter import Reporter

ROOT = Path(__file__).resolve().parents[2]


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


def test_every_kind_of_event_is_documented_with_its_fields(
    tmp_path: Path, open_reporter: Callable[[Path], Reporter]
) -> None:
    written = tmp_path / "events.jsonl"
    reporter = open_reporter(written)
    reporter.stage("reading")
    reporter.started(step=0, exact=True, note="")
    reporter.points(1, {"loss": 0.5})
    reporter.epoch(1)
    reporter.progress(**{field.name: 0 for field in dataclasses.fields(Progress)})
    reporter.checkpoint(step=1, epoch=2, best=False, size=9, digest="d", path=tmp_path)
    reporter.ended("succeeded", "", weights_digest="d", model="m", cause="error")
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    text = (FOLDER / "events.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    assert set(re.findall(r'_write\(\s*"(\w+)"', inspect.getsource(Reporter))) == set(rows)
    assert {event["kind"]: sorted(event.keys() - {"kind", "at"}) for event in lines} == {
        kind: sorted(re.findall(r"`(\w+)`", fields)) for kind, fields in rows.items()
    }


def keys_of(document: object, *, leave_out: frozenset[str] = frozenset()) -> set[str]:
    """Every key in a JSON document, but not what is under the keys that are left out."""
    if isinstance(document, list):
        return {key for inner in document for key in keys_of(inner, leave_out=leave_out)}
    if not isinstance(document, Mapping):
        return set()
    inner_keys = (keys_of(v, leave_out=leave_out) for k, v in document.items() if k not in leave_out)
    return set(document).union(*inner_keys)


def test_the_json_of_status_has_the_keys_that_are_documented(
    store: Store, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    checkpoint = Checkpoint(
        step=1, epoch=1, kind=CheckpointKind.LAST, bytes=1, digest="d" * 64, path="/runs/1/1/c"
    )
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, attempt.id, checkpoint)
        metrics.add_points(tx, attempt.id, [Point("val_accuracy", 1, 0.5)])
        audit.add_event(tx, attempt.job_id, Action.STARTED, actor="worker", attempt_id=attempt.id)
    documented = (FOLDER / "json.md").read_text()
    views = [get_job_view(store, attempt.job_id), get_result_view(store, attempt.job_id)]
    for view in (*views, *list_job_views(store)):
        for key in keys_of(json.loads(json.dumps(view)), leave_out=frozenset({"spec"})):
            assert f'"{key}"' in documented, key


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


def test_the_json_of_lists_and_findings_has_the_keys_that_are_documented() -> None:
    documented = (FOLDER / "json.md").read_text()
    entries = CliRunner().invoke(list_command, ["datasets", "--json"]).stdout
    finding = {field.name: "" for field in dataclasses.fields(Finding)}
    for document in (json.loads(entries), finding):
        for key in keys_of(document):
            assert f'"{key}"' in documented, key


def test_every_page_that_the_readme_names_is_there() -> None:
    for path in re.findall(r"docs/\w+\.md", (ROOT / "README.md").read_text()):
        assert (ROOT / path).is_file(), path


def test_no_file_has_a_name_that_says_nothing() -> None:
    folders = ("service", "workers", "models", "migrations", "docs", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert files
    assert {path.stem for path in files}.isdisjoint({"utils", "helpers", "common", "manager"})
