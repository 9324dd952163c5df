"""What an older cnnctl stored is upgraded, shown and read; the files of tests/golden are never changed."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cnnctl.files import file_digest
from cnnctl.views.codec import to_json
from service.commands.fleet.gpus import list_gpu_views
from service.commands.jobs.diff import diff_jobs
from service.commands.jobs.job_list import list_job_page
from service.commands.jobs.request import complete_request
from service.commands.jobs.status import get_job_view
from service.commands.people.hooks import list_hook_views
from service.commands.people.usage import list_usage_views
from service.commands.people.users import list_user_views
from service.db.engine import make_engine
from service.dispatch.dispatcher import Dispatcher
from service.dispatch.message_check import explain_fault
from service.domain import stored_spec
from service.domain.endings import TrainerReport, infer_ending
from service.domain.gpus import Outsider
from service.domain.hooks import HookId
from service.domain.jobs import Attempt, AttemptId, JobId, Progress
from service.domain.people import SCHEDULER, Actor
from service.domain.spec import digest_training, explain_unknown, read_spec
from service.domain.states import Outcome
from service.domain.stored import read_stored
from service.domain.stored_spec import Tree, load_spec_tree
from service.scheduler.loop import Scheduler
from service.settings import load_settings
from service.store.fleet import readings
from service.store.jobs import attempts, jobs, members, metrics
from service.store.jobs.endings import end_attempt
from service.store.people import outbox
from service.store.transaction import Store, open_store
from tests.conftest import GOLDEN, new_database
from workers.attempts.ingest import Ingester, find_final_event
from workers.train.checkpoints.files import (
    DamagedCheckpoint,
    read_checkpoint,
    read_manifest,
    write_manifest,
)
from workers.train.process.launch import load_launch
from workers.train.schedule import read_epoch_state

CHECKPOINTS = {1: "0000000160", 3: "0000001400"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """A stack of 5082cc5: what it said and wrote, and its database, upgraded."""

    folder: Path
    store: Store

    @property
    def said(self) -> Mapping[int, Any]:
        """What `status JOB --json` printed, by job."""
        pages = self.folder.glob("status-*.json")
        return {page["job"]: page for page in (json.loads(path.read_text()) for path in pages)}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest) -> Iterator[Old]:
    if request.param == "sqlite":
        folder = request.getfixturevalue("golden")
        yield from upgraded(folder, f"sqlite:///{folder / 'cnnctl.db'}")
        return
    folder = request.getfixturevalue("golden_of_servers")
    with new_database(request.getfixturevalue("postgres_server")) as url:
        with closing(Store(make_engine(url))) as store, closing(store.connect_apart()) as connection:
            connection.cursor().execute((folder / "database.sql").read_text())
        yield from upgraded(folder, url)


def upgraded(folder: Path, url: str) -> Iterator[Old]:
    with closing(open_store(url)) as store:
        store.upgrade()
        store.check_revision()
        yield Old(folder=folder, store=store)


def test_every_job_is_shown_as_it_was(old: Old) -> None:
    assert len(old.said) >= 5
    for number, said in old.said.items():
        shown: Any = to_json(get_job_view(old.store, JobId(number)))
        assert {key: shown[key] for key in said} == said


def test_the_lists_show_all_that_there_was(old: Old) -> None:
    views = list_job_page(old.store).items
    assert {view.job: view.state for view in views} == {n: s["state"] for n, s in old.said.items()}
    settings = load_settings({"CNNCTL_HOME": str(old.folder)})
    gpus = {view.uuid: view.state for view in list_gpu_views(old.store, settings)}
    assert sorted(gpus.values()) == ["available", "drained"]
    (bob,) = [view for view in list_user_views(old.store) if view.name == "bob"]
    assert (bob.weight, bob.max_gpus) == (2.0, 1)
    (hook,) = list_hook_views(old.store, actor=Actor(name="root"))
    assert hook.channel == "webhook"
    assert {view.owner for view in list_usage_views(old.store)} == {"root"}


def test_every_stored_spec_is_read(old: Old) -> None:
    for number in old.said:
        with old.store.reading() as tx:
            stored = jobs.get_job(tx, JobId(number)).spec
        assert json.loads(read_spec(stored).to_json()) == json.loads(stored)


def test_a_job_can_be_made_like_each_and_compared_with_it(old: Old) -> None:
    settings = load_settings({"CNNCTL_HOME": str(old.folder)})
    for number in map(JobId, old.said):
        request = complete_request(old.store, None, {}, scheduling={}, like=number)
        with old.store.reading() as tx:
            assert request.spec.to_json() == jobs.get_job(tx, number).spec
        assert diff_jobs(old.store, settings, number, number).spec == []


def test_the_scheduler_plans_with_all_of_it(old: Old) -> None:
    settings = load_settings({"CNNCTL_HOME": str(old.folder)})
    Scheduler(old.store, settings, Dispatcher(settings)).tick()
    waiting = [view for view in list_job_page(old.store).items if view.state == "queued"]
    assert waiting
    assert all("waits" in view.reason for view in waiting)


@pytest.mark.parametrize("old", ["postgresql"], indirect=True)
def test_members_outsiders_and_messages_are_there(old: Old) -> None:
    with old.store.reading() as tx:
        of_attempt = members.list_members(tx, AttemptId(2))
        outsiders = readings.list_outsiders(tx)["sim-gpu01-0"]
        note = outbox.find_latest(tx, HookId(1))
    assert [(member.host_name, member.outcome) for member in of_attempt] == [
        ("gpu01", Outcome.INTERRUPTED),
        ("gpu02", Outcome.INTERRUPTED),
    ]
    assert outsiders == (Outsider(pid=4711, user="eve", command="python", memory_mib=900), Outsider())
    assert note is not None
    assert (note.occasion.value, note.delivered_at) == ("end", None)


@pytest.mark.parametrize("place", ["redis-message.json", "broker/messages/*.msg"])
def test_its_messages_are_taken(golden_of_servers: Path, place: str) -> None:
    (message,) = golden_of_servers.glob(place)
    assert explain_fault(message.read_bytes()) == ""


def test_every_run_folder_is_read(old: Old) -> None:
    logs = list(old.folder.glob("runs/*/*/**/events.jsonl"))
    assert len(logs) >= 3
    for events in logs:
        launch = load_launch(events.parent)
        is_member = events.parent.name == "member-1"
        assert launch.rank == int(is_member)
        assert launch.simulated
        assert read_spec((events.parent / "spec.json").read_text())
        number = int(events.relative_to(old.folder).parts[1])
        report = TrainerReport(final_event=find_final_event(events.parent))
        outcome = infer_ending(report, stop_request=None).outcome
        assert is_member or outcome.value == old.said[number]["outcome"]


def test_every_event_log_is_taken_in_as_it_was(
    old: Old, store: Store, claimed: Callable[..., Attempt], tmp_path: Path
) -> None:
    kept = {int(events.parts[-3]): events for events in old.folder.glob("runs/*/1/events.jsonl")}
    assert len(kept) >= 3
    for number, events in kept.items():
        attempt = claimed(runs_dir=str(tmp_path))
        Path(attempt.run_dir).mkdir(parents=True)
        shutil.copy(events, Path(attempt.run_dir) / "events.jsonl")
        ingester = Ingester(store, attempt, actor=SCHEDULER)
        while ingester.ingest():
            pass
        with store.transaction() as tx:
            found = attempts.get_attempt(tx, attempt.id)
            values = metrics.last_values(tx, attempt.job_id)
            end_attempt(tx, found, Outcome.CANCELLED, reason="", actor=SCHEDULER, retry_limit=0)
        assert dict(values) == old.said[number]["metrics"]
        assert found.epochs_completed == old.said[number]["epochs"]
        assert found.weights_digest in (None, old.said[number]["weights_digest"])


@pytest.mark.parametrize("number", CHECKPOINTS)
def test_a_checkpoint_is_still_the_one_of_its_spec(golden: Path, number: int) -> None:
    run_dir = golden / "runs" / str(number) / "1"
    snapshot = read_checkpoint(run_dir / "checkpoints" / f"step-{CHECKPOINTS[number]}")
    assert snapshot.spec_digest == digest_training((run_dir / "spec.json").read_text())
    assert snapshot.position.step == int(CHECKPOINTS[number])
    assert read_epoch_state(dict(snapshot.position.epoch_state)).best_epoch > 0


@pytest.fixture
def small_run(golden_of_servers: Path, tmp_path: Path) -> Path:
    """A run folder with a small checkpoint, a copy to be changed."""
    return Path(shutil.copytree(golden_of_servers / "runs" / "4" / "1", tmp_path / "1"))


def change_manifest(run_dir: Path, change: Callable[[Any], object]) -> Path:
    """Write the only checkpoint's manifest anew, as a newer cnnctl would have."""
    (checkpoint,) = (run_dir / "checkpoints").iterdir()
    manifest = {name: value for name, value in read_manifest(checkpoint).items() if name != "sealed"}
    change(manifest)
    write_manifest(checkpoint, manifest)
    return checkpoint


def test_a_checkpoint_and_a_launch_file_with_newer_fields_are_read(small_run: Path) -> None:
    def add(manifest: Any) -> None:
        manifest["codec"] = "zstd"
        manifest["position"]["tokens"] = 7
        manifest["position"]["epoch_state"]["restarts"] = 2

    before = read_checkpoint(change_manifest(small_run, lambda manifest: None))
    after = read_checkpoint(change_manifest(small_run, add))
    assert replace(after.position, epoch_state={}) == replace(before.position, epoch_state={})
    state = read_epoch_state(dict(after.position.epoch_state))
    assert state == read_epoch_state(dict(before.position.epoch_state))
    launch = load_launch(small_run)
    path = small_run / "launch.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "network_interface": "eth0"}))
    assert load_launch(small_run) == launch


def test_a_checkpoint_of_a_newer_format_is_passed_over_in_words(small_run: Path) -> None:
    checkpoint = change_manifest(small_run, lambda manifest: manifest.update(format=99))
    with pytest.raises(DamagedCheckpoint, match=r"was written by a newer cnnctl \(format 99\)"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.tar.gz")), ids=lambda path: path.name)
def test_a_golden_file_is_as_it_was_written(path: Path) -> None:
    assert file_digest(path) in (GOLDEN / "README.md").read_text()


def rename_epochs_back(tree: Tree) -> Tree:
    """What an upgrade from a pretended version 0 does, in which epochs were called passes."""
    training = dict(tree["training"])
    training["epochs"] = training.pop("passes")
    return {**tree, "training": training}


@pytest.fixture
def before_today(golden: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The spec of job 3 as a version 0 would have stored it, which there is an upgrade for; and as it is."""
    monkeypatch.setitem(stored_spec.UPGRADES, 0, rename_epochs_back)
    today = (golden / "runs" / "3" / "1" / "spec.json").read_text()
    tree = json.loads(today)
    tree["schema_version"] = 0
    tree["training"]["passes"] = tree["training"].pop("epochs")
    return json.dumps(tree), today


def test_a_spec_of_an_older_version_is_read_as_one_of_today(before_today: tuple[str, str]) -> None:
    older, today = before_today
    assert read_spec(older) == read_spec(today)
    assert explain_unknown(older) == ""
    assert load_spec_tree(older) == json.loads(today)


def test_an_upgrade_of_the_shape_changes_no_digest(
    before_today: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    older, _ = before_today
    with_it = digest_training(older)
    monkeypatch.delitem(stored_spec.UPGRADES, 0)
    assert with_it == digest_training(older)


def test_there_is_an_upgrade_from_every_version_before() -> None:
    assert set(stored_spec.UPGRADES) == set(range(1, stored_spec.SCHEMA_VERSION))


def test_a_newer_field_is_passed_over() -> None:
    known = {"epoch": 1, "epochs": 2, "step": 3, "steps_per_epoch": 40, "images_per_second": 1.0}
    values = {**known, "loss": 0.5, "accuracy": None, "learning_rate": 0.1}
    assert read_stored(Progress, values).step == 3
