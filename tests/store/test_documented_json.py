"""What `--json` prints is what docs/json.md says: the same keys, of these types."""

import importlib
import json
from collections.abc import Callable, Mapping

import pytest
from click.testing import CliRunner

from cnnctl.views.codec import to_json
from cnnctl.views.requests import TokenRequest
from docs.json_shapes import DOCUMENTS
from service.cli.networks.list import command as list_command
from service.client.local import LocalClient
from service.commands.fleet.gpu_history import list_gpu_history
from service.commands.fleet.gpus import list_gpu_views
from service.commands.fleet.hosts import list_host_views
from service.commands.jobs.job_list import list_job_page
from service.commands.jobs.status import get_job_view, get_result_view, list_event_views
from service.commands.networks.catalog import SECTIONS
from service.commands.people.hooks import add_hook, list_hook_views
from service.commands.people.usage import list_usage_views
from service.commands.people.users import list_user_views
from service.domain.checkpoints import Checkpoint
from service.domain.gpus import Outsider, Reading
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.states import Action, Channel, CheckpointKind, Occasion
from service.settings import Settings
from service.store.fleet import readings
from service.store.jobs import checkpoints, metrics
from service.store.people import audit
from service.store.transaction import Store
from tests.conftest import ADA, HOST
from tests.json_keys import check_keys

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
        audit.add_entry(tx, attempt.job_id, Action.STARTED, actor=SCHEDULER, attempt_id=attempt.id)
        readings.set_readings(tx, {f"{HOST}-0": Reading(outsiders=(Outsider(),))})
    add_hook(store, settings, channel=Channel.MAIL, address="ada", occasions=[Occasion.END], actor=ADA)
    return attempt.job_id


def test_documented_and_printed_keys_are_the_same(store: Store, job_id: JobId, settings: Settings) -> None:
    client = LocalClient(store, settings, ADA)
    views: Mapping[str, object] = {
        "run": get_result_view(store, job_id),
        "status": list_job_page(store).items,
        "status JOB": get_job_view(store, job_id),
        "history JOB": list_event_views(store, job_id),
        "usage": list_usage_views(store, owner=None, since=None),
        "users": list_user_views(store),
        "notify list": list_hook_views(store, actor=ADA),
        "hosts": list_host_views(store, settings),
        "gpus": list_gpu_views(store, settings),
        "gpus history": list_gpu_history(store, hours=1, points=60),
        "whoami": client.get_me(),
        "token create": client.create_token(TokenRequest(name="laptop")),
        "token list": client.list_tokens(),
        "audit": client.list_audit(),
    }
    for command, view in views.items():
        check_keys(json.loads(json.dumps(to_json(view))), command)


def test_the_history_of_a_job_is_its_events(store: Store, job_id: JobId) -> None:
    found, page = list_event_views(store, job_id), get_job_view(store, job_id)
    assert found == page.events
    assert found


@pytest.mark.parametrize("section", SECTIONS)
def test_keys_of_lists_are_the_documented_ones(section: str) -> None:
    entries = json.loads(CliRunner().invoke(list_command, [section, "--json"]).stdout)
    check_keys(entries, "list SECTION")


def test_keys_of_the_fields_are_the_documented_ones() -> None:
    check_keys(json.loads(CliRunner().invoke(list_command, ["fields", "--json"]).stdout), "list fields")


@pytest.mark.usefixtures("job_id")
def test_metrics_and_submissions_print_the_documented_keys(
    store: Store, settings: Settings, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (metrics_module, submit_module):
        monkeypatch.setattr(module, "open_client", lambda: LocalClient(store, settings, ADA))
    shown = CliRunner().invoke(metrics_module.command, [str(job_id), "--json"])
    check_keys(json.loads(shown.stdout), "metrics JOB")
    queued = CliRunner().invoke(submit_module.command, ["lenet5", "--dataset", "synthetic", "--json"])
    check_keys(json.loads(queued.stdout), "submit")


def test_every_documented_shape_is_compared() -> None:
    here = {
        *(
            "run",
            "submit",
            "status",
            "status JOB",
            "history JOB",
            "usage",
            "users",
            "hosts",
            "gpus",
            "gpus history",
        ),
        *("metrics JOB", "notify list", "list SECTION", "list fields"),
        *("audit", "whoami", "token create", "token list"),
    }
    elsewhere = {
        "submit --dry-run",  # test_dry_run
        "submit --follow",  # as run
        *("dataset add NAME PATH", "dataset list", "dataset show NAME"),  # test_datasets
        "gc",  # test_garbage
        *("label JOB", "diff JOB JOB", "compare JOB JOB…"),  # test_labels, test_diff, test_comparison
        "download JOB --list",  # test_files
        "doctor",  # test_doctor
        "describe NAME",  # unit/test_describe
        *("study list", "study run STUDY", "study status", "study report STUDY"),  # test_studies
        *("predict JOB IMAGE…", "evaluate JOB", "detect JOB IMAGE"),  # acceptance/test_after_training
    }
    named = {f"cnnctl {command} --json" for command in here | elsewhere}
    # The first is in test_notify, the second in test_studies.
    assert named | {"POST to a webhook", "cnnctl study export STUDY"} == DOCUMENTS.keys()
