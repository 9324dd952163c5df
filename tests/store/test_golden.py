"""What an older cnnctl stored is upgraded, shown and read; the files of tests/golden are never changed."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.commands.fleet.gpus import list_gpu_views
from service.commands.jobs.status import get_job_view, list_job_views
from service.commands.people.users import list_user_views
from service.domain import stored_spec
from service.domain.jobs import JobId, Progress
from service.domain.spec import digest_training, find_unknown, read_spec
from service.domain.stored import read_stored
from service.domain.stored_spec import Tree, load_spec_tree
from service.settings import load_settings
from service.store.jobs import jobs
from service.store.transaction import Store, open_store
from workers.train.checkpoints.files import read_checkpoint
from workers.train.process.launch import load_launch
from workers.train.schedule import read_epoch_state

JOBS = (1, 2, 3, 4, 5)
CHECKPOINTS = {1: "0000000160", 3: "0000001400"}


@pytest.fixture(scope="module")
def old(golden: Path) -> Iterator[Store]:
    """Its database, upgraded."""
    with closing(open_store(f"sqlite:///{golden / 'cnnctl.db'}")) as store:
        store.upgrade()
        store.check_revision()
        yield store


@pytest.mark.parametrize("number", JOBS)
def test_a_job_is_shown_as_it_was(golden: Path, old: Store, number: int) -> None:
    shown: Any = json.loads(json.dumps(get_job_view(old, JobId(number)), default=str))
    said = json.loads((golden / f"status-{number}.json").read_text())
    assert {key: shown[key] for key in said} == said


def test_the_lists_show_all_that_there_was(golden: Path, old: Store) -> None:
    assert [view["job"] for view in list_job_views(old)] == list(reversed(JOBS))
    settings = load_settings({"CNNCTL_HOME": str(golden)})
    states = {view["uuid"]: view["state"] for view in list_gpu_views(old, settings)}
    assert states == {"sim-gpu01-0": "available", "sim-gpu01-1": "drained"}
    (bob,) = [view for view in list_user_views(old) if view["name"] == "bob"]
    assert (bob["weight"], bob["max_gpus"]) == (2.0, 1)


@pytest.mark.parametrize("number", JOBS)
def test_a_stored_spec_is_read(old: Store, number: int) -> None:
    with old.reading() as tx:
        stored = jobs.get_job(tx, JobId(number)).spec
    assert json.loads(read_spec(stored).to_json()) == json.loads(stored)


@pytest.mark.parametrize("number", CHECKPOINTS)
def test_a_checkpoint_is_still_the_one_of_its_spec(golden: Path, number: int) -> None:
    run_dir = golden / "runs" / str(number) / "1"
    snapshot = read_checkpoint(run_dir / "checkpoints" / f"step-{CHECKPOINTS[number]}")
    assert snapshot.spec_digest == digest_training((run_dir / "spec.json").read_text())
    assert snapshot.position.step == int(CHECKPOINTS[number])
    assert read_epoch_state(dict(snapshot.position.epoch_state)).best_epoch > 0
    assert load_launch(run_dir).simulated


def rename_epochs_back(tree: Tree) -> Tree:
    """What an upgrade from a pretended version 0 does, in which epochs were called passes."""
    training = dict(tree["training"])
    training["epochs"] = training.pop("passes")
    return {**tree, "training": training}


@pytest.fixture
def before_today(old: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The spec of job 3 as a version 0 would have stored it, which there is an upgrade for; and as it is."""
    monkeypatch.setitem(stored_spec.UPGRADES, 0, rename_epochs_back)
    with old.reading() as tx:
        today = jobs.get_job(tx, JobId(3)).spec
    tree = json.loads(today)
    tree["schema_version"] = 0
    tree["training"]["passes"] = tree["training"].pop("epochs")
    return json.dumps(tree), today


def test_a_spec_of_an_older_version_is_read_as_one_of_today(before_today: tuple[str, str]) -> None:
    older, today = before_today
    assert read_spec(older) == read_spec(today)
    assert find_unknown(older) == ""
    assert load_spec_tree(older) == json.loads(today)


def test_an_upgrade_of_the_shape_changes_no_digest(before_today: tuple[str, str]) -> None:
    older, _ = before_today
    with_it = digest_training(older)
    stored_spec.UPGRADES.clear()
    assert with_it == digest_training(older)


def test_there_is_an_upgrade_from_every_version_before() -> None:
    assert set(stored_spec.UPGRADES) == set(range(1, stored_spec.SCHEMA_VERSION))


def test_a_newer_field_is_passed_over() -> None:
    known = {"epoch": 1, "epochs": 2, "step": 3, "steps_per_epoch": 40, "images_per_second": 1.0}
    values = {**known, "loss": 0.5, "accuracy": None, "learning_rate": 0.1}
    assert read_stored(Progress, values).step == 3
