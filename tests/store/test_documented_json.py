"""What `--json` prints has exactly the keys that docs/json.md says."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping

import pytest
from click.testing import CliRunner

from docs.generate import FOLDER
from service.cli.networks.list import command as list_command
from service.commands.fleet.gpus import list_gpu_views
from service.commands.fleet.hosts import list_host_views
from service.commands.jobs.status import get_job_view, get_result_view, list_event_views, list_job_views
from service.commands.ops.findings import Finding
from service.commands.people.hooks import add_hook, list_hook_views
from service.commands.people.usage import list_usage_views
from service.commands.people.users import list_user_views
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt
from service.domain.metrics import Point
from service.domain.states import Action, Channel, CheckpointKind, Occasion
from service.settings import Settings
from service.store.jobs import audit, checkpoints, metrics
from service.store.transaction import Store
from tests.conftest import ADA

PAGE = (FOLDER / "json.md").read_text()
# A quoted word where a key stands: not behind a colon, and not the first of a list.
KEY = re.compile(r'(?<!: )(?<!\[)"(\w+)"(?=\s*[:,}\n])')
OPEN = frozenset({"spec", "metrics"})  # keys under which are those of spec.md and metrics.md


def keys_of(document: object) -> set[str]:
    """Every key in a JSON document, but not what is under those of OPEN."""
    if isinstance(document, list):
        return {key for inner in document for key in keys_of(inner)}
    if not isinstance(document, Mapping):
        return set()
    return set(document).union(*(keys_of(value) for key, value in document.items() if key not in OPEN))


def documented(title: str) -> set[str]:
    """The keys in the indented lines of a section."""
    (section,) = [part for part in PAGE.split("\n## ") if part.startswith(title)]
    shapes = "\n".join(line for line in section.splitlines() if line.startswith("    "))
    return set(KEY.findall(shapes)) - {"val_accuracy"}  # an example of a metric


@pytest.fixture
def printed(store: Store, claimed: Callable[..., Attempt], settings: Settings) -> Mapping[str, set[str]]:
    """The keys that each command prints, by the beginning of its section's title."""
    attempt = claimed()
    path = "/runs/1/1/c"
    kept = Checkpoint(step=1, epoch=1, kind=CheckpointKind.LAST, bytes=1, digest="d" * 64, path=path)
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, attempt.id, kept)
        metrics.add_points(tx, attempt.id, [Point("val_accuracy", 1, 0.5), Point("layer/fc3/dead", 1, 0.9)])
        audit.add_event(tx, attempt.job_id, Action.STARTED, actor="worker", attempt_id=attempt.id)
    add_hook(store, channel=Channel.MAIL, address="ada", occasions=[Occasion.END], actor=ADA)
    views = {
        "`cnnctl run --json`": get_result_view(store, attempt.job_id),
        "`cnnctl status --json`": list_job_views(store),
        "`cnnctl status JOB --json`": get_job_view(store, attempt.job_id),
        "`cnnctl usage --json`": list_usage_views(store, owner=None, since=None),
        "`cnnctl users --json`": list_user_views(store),
        "`cnnctl hosts --json`": list_host_views(store, settings),
    }
    return {title: keys_of(json.loads(json.dumps(view, default=str))) for title, view in views.items()}


def test_documented_and_printed_keys_are_the_same(printed: Mapping[str, set[str]]) -> None:
    run = documented("`cnnctl run --json`")
    for title, keys in printed.items():
        besides = run if title == "`cnnctl status JOB --json`" else set()
        assert keys == documented(title) | besides, title


def test_the_history_of_a_job_is_its_events(store: Store, claimed: Callable[..., Attempt]) -> None:
    job_id = claimed().job_id
    with store.transaction() as tx:
        audit.add_event(tx, job_id, Action.STARTED, actor="worker")
    assert keys_of(list_event_views(store, job_id)) <= documented("`cnnctl status JOB --json`")


@pytest.mark.usefixtures("claimed")
def test_every_key_of_gpus_and_hooks_is_documented(store: Store, settings: Settings) -> None:
    add_hook(store, channel=Channel.MAIL, address="ada", occasions=[Occasion.END], actor=ADA)
    assert keys_of(list_gpu_views(store, settings)) <= documented("`cnnctl gpus --json`")
    assert keys_of(list_hook_views(store, actor=ADA)) <= documented("`cnnctl notify list --json`")


def test_every_key_of_lists_and_findings_is_documented() -> None:
    entries = json.loads(CliRunner().invoke(list_command, ["datasets", "--json"]).stdout)
    finding = {field.name: "" for field in dataclasses.fields(Finding)}
    assert keys_of(entries) | keys_of(finding) <= documented("`cnnctl list SECTION --json`")
