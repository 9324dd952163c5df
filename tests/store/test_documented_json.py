"""What `--json` prints has exactly the keys that docs/json.md says."""

import dataclasses
import importlib
import json
import re
from collections.abc import Callable, Mapping

import pytest
from click.testing import CliRunner

from cnnctl.views.codec import to_json
from cnnctl.views.ops import Finding
from models.catalog import lookup
from service.cli.networks.list import command as list_command
from service.commands.fleet.gpus import list_gpu_views
from service.commands.fleet.hosts import list_host_views
from service.commands.jobs.status import get_job_view, get_result_view, list_event_views, list_job_views
from service.commands.people.hooks import add_hook, list_hook_views
from service.commands.people.usage import list_usage_views
from service.commands.people.users import list_user_views
from service.domain.checkpoints import Checkpoint
from service.domain.gpus import Outsider, Reading
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.states import Action, Channel, CheckpointKind, Occasion
from service.settings import Settings
from service.store.fleet import readings
from service.store.jobs import audit, checkpoints, metrics
from service.store.transaction import Store
from tests.conftest import ADA, HOST
from tests.json_keys import PAGE, check_keys, documented, keys_of

metrics_module = importlib.import_module("service.cli.jobs.metrics")
submit_module = importlib.import_module("service.cli.jobs.submit")


@pytest.fixture
def job_id(store: Store, settings: Settings, claimed: Callable[..., Attempt]) -> JobId:
    """A job that fills every shape: a checkpoint, a verdict, an event, a reading, an outsider, a hook."""
    attempt = claimed()
    path = "/runs/1/1/c"
    kept = Checkpoint(step=1, epoch=1, kind=CheckpointKind.LAST, bytes=1, digest="d" * 64, path=path)
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, attempt.id, kept)
        metrics.add_points(tx, attempt.id, [Point("val_accuracy", 1, 0.5), Point("layer/fc3/dead", 1, 0.9)])
        audit.add_entry(tx, attempt.job_id, Action.STARTED, actor="worker", attempt_id=attempt.id)
        readings.set_readings(tx, {f"{HOST}-0": Reading(outsiders=(Outsider(),))})
    add_hook(store, settings, channel=Channel.MAIL, address="ada", occasions=[Occasion.END], actor=ADA)
    return attempt.job_id


def test_documented_and_printed_keys_are_the_same(store: Store, job_id: JobId, settings: Settings) -> None:
    views: Mapping[str, object] = {
        "run": get_result_view(store, job_id),
        "status": list_job_views(store),
        "usage": list_usage_views(store, owner=None, since=None),
        "users": list_user_views(store),
        "hosts": list_host_views(store, settings),
        "gpus": list_gpu_views(store, settings),
    }
    for command, view in views.items():
        check_keys(to_json(view), command)
    check_keys(to_json(list_hook_views(store, actor=ADA)), "notify list", shape=0)
    page = to_json(get_job_view(store, job_id))
    assert keys_of(page) == documented("status JOB") | documented("run")


def test_the_history_of_a_job_is_its_events(store: Store, job_id: JobId) -> None:
    found, page = list_event_views(store, job_id), get_job_view(store, job_id)
    assert found == page.events
    assert found


@pytest.mark.parametrize("section", [*lookup.SECTIONS, "fields"])
def test_keys_of_lists_and_findings_are_the_documented_ones(section: str) -> None:
    entries = json.loads(CliRunner().invoke(list_command, [section, "--json"]).stdout)
    finding = {field.name for field in dataclasses.fields(Finding)}
    without = {"source"} if section == "fields" else set()
    assert keys_of(entries) | finding == documented("list SECTION") - without
    assert keys_of(entries) == {"name", "summary", "source"} - without


@pytest.mark.usefixtures("job_id")
def test_metrics_and_submissions_print_the_documented_keys(
    store: Store, settings: Settings, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (metrics_module, submit_module):
        monkeypatch.setattr(module, "open_session", lambda: (settings, store))
    shown = CliRunner().invoke(metrics_module.command, [str(job_id), "--json"])
    check_keys(json.loads(shown.stdout), "metrics JOB")
    queued = CliRunner().invoke(submit_module.command, ["lenet5", "--dataset", "synthetic", "--json"])
    assert json.loads(queued.stdout).keys() == {"job", "state"}  # as docs/json.md says under `run`


def test_every_documented_shape_is_compared() -> None:
    headings = [line for line in PAGE.splitlines() if line.startswith("## ")]
    shapes = {shape for line in headings for shape in re.findall(r"`cnnctl ([^`]+) --json`", line)}
    here = {
        *("run", "submit --follow", "status", "status JOB", "history JOB", "usage", "users", "hosts", "gpus"),
        *("metrics JOB", "notify list", "list SECTION", "doctor"),
    }
    elsewhere = {
        "submit --dry-run",  # test_dry_run
        "gc",  # test_garbage
        "describe NAME",  # models/test_describe
        *("predict JOB IMAGE…", "evaluate JOB", "detect JOB IMAGE"),  # acceptance/test_after_training
    }
    assert shapes == here | elsewhere
