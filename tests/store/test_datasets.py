"""The lab's own datasets: a name means one frozen version for all, and a job keeps what it was given."""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cnnctl.views.codec import to_json
from cnnctl.views.datasets import DatasetView
from models.datasets.load import load_dataset
from models.datasets.unpacked import load_unpacked
from models.errors import DatasetError
from service.client.local import LocalClient
from service.commands.datasets.adding import add_dataset
from service.commands.datasets.registry import get_dataset_page, list_dataset_views, remove_dataset
from service.commands.jobs.control import cancel, retry
from service.commands.jobs.dataset_version import keep_dataset
from service.commands.jobs.dry_run import dry_run_job
from service.commands.jobs.status import get_job_view, list_event_views
from service.commands.jobs.submit import submit
from service.commands.ops.garbage import Kind, Policy, list_garbage, remove
from service.db.tables import audit_entries
from service.domain.datasets import INCOMING
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.domain.spec import read_spec
from service.domain.spec_request import resolve_spec
from service.errors import (
    DatasetConflict,
    DatasetNotFound,
    DatasetRefused,
    NotAllowed,
    SettingError,
    SpecError,
    StorageFull,
)
from service.settings import Settings, load_settings
from service.store.jobs import jobs
from service.store.transaction import Store
from tests.conftest import ADA, Clock
from tests.images import write_folder, write_npz
from tests.json_keys import check_keys

BOB, ROOT = Actor(name="bob"), Actor(name="root", operator=True)
DAY = 24 * 3600
OLD = Policy(older_than_days=30, orphans=False)
cli = importlib.import_module("service.cli.networks.dataset")

Add = Callable[..., DatasetView]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "originals" / "pets")


@pytest.fixture
def add(store: Store, settings: Settings, pets: Path) -> Add:
    """Add the folder of three classes, or what is said, as `pets`."""

    def run(path: Path = pets, *, name: str = "pets", actor: Actor = ADA) -> DatasetView:
        return add_dataset(store, settings, name, path, actor=actor, description="cats, dogs")

    return run


def list_names(settings: Settings) -> list[str]:
    """What lies in the folder of the datasets, without the incoming folder if that is empty."""
    found = sorted(path.relative_to(settings.datasets_dir) for path in settings.datasets_dir.glob("**/*"))
    return [str(path) for path in found if len(path.parts) == 1 and str(path) != INCOMING] + [
        str(path) for path in found if len(path.parts) > 1 and path.parts[0] == INCOMING
    ]


def test_a_folder_gets_a_name_and_a_copy_that_stays_as_it_was(
    add: Add, store: Store, settings: Settings, pets: Path
) -> None:
    (pets / "class0" / ".hidden").write_text("no data")
    view = add()
    shutil.rmtree(pets)
    assert (view.name, view.owner, view.kind, view.files) == ("pets", "ada", "folder", 121)
    assert view.version == f"pets@{view.digest[:16]}"
    assert "120 images in 3 classes" in view.found
    assert list_dataset_views(store) == [view]
    assert list_names(settings) == [view.version]
    files = [path for path in (settings.datasets_dir / view.version).rglob("*") if path.is_file()]
    assert view.bytes == sum(path.stat().st_size for path in files)
    assert {path.stat().st_mode & 0o222 for path in files} == {0}


def test_the_digest_is_what_sha256sum_says(add: Add, pets: Path) -> None:
    (pets / "class0" / "new\nline.png").write_bytes((pets / "class0" / "00.png").read_bytes())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ".encode() + os.fsencode(path.relative_to(pets))
        for path in pets.rglob("*")
        if path.is_file()
    ]
    lines.sort(key=lambda line: line[66:])
    assert add().digest == hashlib.sha256(b"".join(line + b"\0" for line in lines)).hexdigest()


def test_an_npz_file_gets_a_name(add: Add, settings: Settings, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "cells.npz")
    view = add(path, name="cells")
    assert view.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (view.version, view.kind, view.files) == (f"cells@{view.digest[:16]}.npz", "npz", 1)
    assert (settings.datasets_dir / view.version).read_bytes() == path.read_bytes()


def test_a_job_records_name_and_digest_and_opens_the_frozen_version(
    add: Add, store: Store, settings: Settings, pets: Path
) -> None:
    view = add()
    shutil.rmtree(pets)
    job_id = JobId(submit(store, settings, "alexnet", {"data.dataset": "pets"}, owner=BOB).job)
    with store.reading() as tx:
        spec = read_spec(jobs.get_job(tx, job_id).spec)
    assert spec.data.dataset == view.version
    assert "crop" in spec.data.augment  # photographs
    found = load_dataset(spec.data.dataset, directory=settings.datasets_dir)
    assert set(found.class_names) == {"class0", "class1", "class2"}
    assert "120 images in 3 classes" in list_event_views(store, job_id)[0].detail


def test_a_version_is_found_whatever_the_data_roots_are(add: Add, store: Store, tmp_path: Path) -> None:
    add()
    roots = {"CNNCTL_DATA_ROOTS": str(tmp_path / "originals")}
    settings = load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_HOST": "gpu01", **roots})
    assert submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    with pytest.raises(SpecError, match="CNNCTL_DATA_ROOTS"):
        add_dataset(store, settings, "etc", write_folder(tmp_path / "elsewhere"), actor=ADA)


def test_a_dry_run_sees_what_a_submission_would(add: Add, store: Store, settings: Settings) -> None:
    view = add()
    dry = dry_run_job(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    assert dry.dataset == view.version
    assert "120 images" in dry.found
    with pytest.raises(SpecError, match=r"batch_size must be at most the \d+ training images of pets@"):
        dry_run_job(
            store, settings, "lenet5", {"data.dataset": "pets", "training.batch_size": 512}, owner=BOB
        )


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("Pets", DatasetRefused, "a-z, 0-9"),
        ("", DatasetRefused, "a-z, 0-9"),
        ("../pets", DatasetRefused, "a-z, 0-9"),
        ("pets@0123456789abcdef", DatasetRefused, "a-z, 0-9"),
        ("p" * 65, DatasetRefused, "1 to 64"),
        ("pets\n", DatasetRefused, "a-z, 0-9"),
        ("digits", DatasetConflict, "cnnctl's own"),
        ("old", DatasetConflict, r"old\.npz"),
        ("taken", DatasetConflict, "ada added it on 2026-01-01"),
    ],
)
def test_a_name_that_cannot_be_given_is_refused(
    add: Add, settings: Settings, name: str, error: type[Exception], words: str
) -> None:
    add(name="taken")
    (settings.datasets_dir / "old.npz").touch()
    before = list_names(settings)
    with pytest.raises(error, match=words):
        add(name=name, actor=BOB)
    assert list_names(settings) == before


def test_what_cannot_be_trained_on_is_refused_and_leaves_nothing(
    add: Add, store: Store, settings: Settings, pets: Path, tmp_path: Path
) -> None:
    for folder in ("class1", "class2"):
        shutil.rmtree(pets / folder)
    with pytest.raises(DatasetRefused, match=r"pets cannot become a dataset: .*class") as caught:
        add()
    assert INCOMING not in str(caught.value)
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"not a zip")
    with pytest.raises(DatasetRefused, match=r"broken\.npz cannot become a dataset"):
        add(broken)
    with pytest.raises(DatasetRefused, match="There is no"):
        add(tmp_path / "nowhere")
    assert list_names(settings) == []
    assert list_dataset_views(store) == []


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_folder_with_links_or_devices_is_refused(add: Add, pets: Path, tmp_path: Path, kind: str) -> None:
    path = pets / "class0" / "more.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(pets / "class1" / "00.png" if kind == "link" else tmp_path)
    with pytest.raises(DatasetRefused, match=r"more\.png is a link or a device.*cp -rL"):
        add()


def test_a_copy_for_which_the_disk_has_no_room_is_refused(store: Store, tmp_path: Path, pets: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_DISK_RESERVE": "100"})
    with pytest.raises(StorageFull, match=r"CNNCTL_DISK_RESERVE"):
        add_dataset(store, settings, "pets", pets, actor=ADA)
    assert list_names(settings) == []


def test_where_the_datasets_of_the_service_are_not_nothing_is_added(store: Store, pets: Path) -> None:
    away = load_settings({"CNNCTL_DATABASE_URL": "postgresql://db/cnnctl"})
    with pytest.raises(SettingError, match="CNNCTL_DATASETS_DIR"):
        add_dataset(store, away, "pets", pets, actor=ADA)


def test_only_the_owner_or_an_administrator_removes(add: Add, store: Store, settings: Settings) -> None:
    add()
    with pytest.raises(NotAllowed, match="only ada or an administrator"):
        remove_dataset(store, settings, "pets", actor=BOB)
    remove_dataset(store, settings, "pets", actor=ROOT)
    assert list_names(settings) == []
    with pytest.raises(DatasetNotFound, match=r"no dataset pets: .* was removed by root on 2026-01-01"):
        remove_dataset(store, settings, "pets", actor=ROOT)
    with pytest.raises(DatasetNotFound, match="cnnctl dataset list"):
        get_dataset_page(store, "nothing")


def test_what_an_unfinished_job_needs_stays(add: Add, store: Store, settings: Settings) -> None:
    view = add()
    numbers = [
        JobId(submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB).job) for _ in range(7)
    ]
    assert get_dataset_page(store, "pets").jobs == numbers
    with pytest.raises(DatasetConflict, match=r"unfinished jobs need it: 1, 2, 3, 4, 5 and 2 more"):
        remove_dataset(store, settings, "pets", actor=ADA)
    assert list_names(settings) == [view.version]
    for number in numbers:
        cancel(store, number, actor=BOB)
    remove_dataset(store, settings, "pets", actor=ADA)
    assert list_names(settings) == []
    with pytest.raises(DatasetConflict, match=r"Job 1 needs a dataset that is not there.*removed by ada"):
        retry(store, numbers[0], actor=BOB)
    add()  # the same images
    retry(store, numbers[0], actor=BOB)


def test_what_is_removed_while_a_job_is_submitted_is_a_conflict(
    add: Add, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()

    def meanwhile(*_: object, **__: object) -> str:
        remove_dataset(store, settings, "pets", actor=ADA)
        return ""

    monkeypatch.setattr("service.commands.jobs.submit.check_dataset", meanwhile)
    with pytest.raises(DatasetConflict, match="This job needs a dataset that is not there"):
        submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    with store.reading() as tx:
        assert jobs.list_jobs(tx) == []


def test_a_removal_waits_for_a_submission_that_has_begun(add: Add, store: Store, settings: Settings) -> None:
    view = add()
    with ThreadPoolExecutor(1) as pool:
        with store.transaction() as tx:
            keep_dataset(tx, view.version, job="This job")
            removal = pool.submit(remove_dataset, store, settings, "pets", actor=ADA)
            with pytest.raises(TimeoutError):
                removal.result(timeout=0.3)
            spec = resolve_spec("lenet5", {"data.dataset": view.version})
            jobs.create_job(tx, spec, owner="bob", reason="")
        with pytest.raises(DatasetConflict, match="unfinished jobs need it: 1"):
            removal.result(timeout=30)
    assert list_names(settings) == [view.version]


def test_a_removed_name_means_nothing_until_it_is_added_again(
    add: Add, store: Store, settings: Settings, clock: Clock, pets: Path
) -> None:
    old = add()
    job_id = JobId(submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB).job)
    cancel(store, job_id, actor=BOB)
    clock.advance(DAY)
    remove_dataset(store, settings, "pets", actor=ADA)
    with pytest.raises(SpecError, match=r"was removed by ada on 2026-01-02\. See: cnnctl dataset list"):
        submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    (pets / "class0" / "00.png").unlink()
    new = add(actor=BOB)
    assert new.version != old.version
    (before,) = get_dataset_page(store, "pets").earlier
    assert (before.version, before.digest, before.removed_by) == (old.version, old.digest, "ada")
    again = JobId(submit(store, settings, "lenet5", {"data.dataset": old.version}, owner=BOB).job)
    said = list_event_views(store, again)[0].detail
    assert said.startswith(f"{old.version} was removed by ada on 2026-01-02: this job trains on other")
    assert f"today's {new.version}, which bob added on 2026-01-02" in said
    assert get_job_view(store, again).spec["data"]["dataset"] == new.version
    assert get_job_view(store, job_id).spec["data"]["dataset"] == old.version
    same = JobId(submit(store, settings, "lenet5", {"data.dataset": new.version}, owner=BOB).job)
    assert "other images" not in list_event_views(store, same)[0].detail


@pytest.mark.parametrize("wanted", ["pet", "pets@0000000000000000", "pets@", "pets.npz"])
def test_an_unknown_name_is_refused_with_those_that_are_known(
    add: Add, store: Store, settings: Settings, wanted: str
) -> None:
    add()
    with pytest.raises(SpecError, match=r"Unknown dataset .*synthetic, pets$"):
        submit(store, settings, "lenet5", {"data.dataset": wanted}, owner=BOB)


@pytest.mark.parametrize("wanted", ["@", "a/../b", "Pets", "\0", "\udce9", "x" * 2000])
def test_what_can_be_no_name_is_refused_before_the_database_sees_it(
    store: Store, settings: Settings, wanted: str
) -> None:
    with pytest.raises(SpecError, match=r"Unknown dataset|printable|length"):
        submit(store, settings, "lenet5", {"data.dataset": wanted}, owner=BOB)
    for act in (
        lambda: get_dataset_page(store, wanted),
        lambda: remove_dataset(store, settings, wanted, actor=ROOT),
    ):
        with pytest.raises(DatasetNotFound, match="cnnctl dataset list") as caught:
            act()
        assert len(str(caught.value)) < 120


def test_a_version_that_somebody_has_replaced_by_a_link_is_not_opened(
    add: Add, store: Store, settings: Settings, pets: Path
) -> None:
    version = settings.datasets_dir / add().version
    shutil.rmtree(version)
    version.symlink_to(pets)
    with pytest.raises(SpecError, match="leads out of the folder of the datasets"):
        submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    with pytest.raises(DatasetError, match="leads out of the folder of the datasets"):
        load_unpacked(version.name, directory=settings.datasets_dir, folder=settings.runs_dir)


def test_every_change_is_in_the_audit(add: Add, store: Store, settings: Settings) -> None:
    view = add()
    remove_dataset(store, settings, "pets", actor=ROOT)
    with store.reading() as tx:
        columns = (audit_entries.c.actor, audit_entries.c.action, audit_entries.c.subject_name)
        chosen = select(*columns, audit_entries.c.before, audit_entries.c.after)
        rows = tx.connection.execute(chosen.where(audit_entries.c.subject == "dataset")).all()
    added, removed = rows
    assert (added[0], added[1].value, added[2]) == ("ada", "added", "pets")
    assert json.loads(added.after)["digest"] == json.loads(removed.before)["digest"] == view.digest
    assert (removed[0], removed[1].value, removed[2]) == ("root", "removed", "pets")


def test_two_that_add_one_name_at_once_do_not_both_get_it(
    add: Add, store: Store, settings: Settings, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bob_is_quicker() -> None:
        monkeypatch.undo()
        add(write_folder(pets.with_name("bobs"), seed=1), actor=BOB)

    monkeypatch.setattr(os, "sync", bob_is_quicker)
    with pytest.raises(DatasetConflict, match="bob added it"):
        add()
    (view,) = list_dataset_views(store)
    assert view.owner == "bob"
    assert list_names(settings) == [view.version]


# Ends without a word, as at a power cut, at the first call of a function: `after` lets it do its work first.
CRASH = """
import importlib, os, sys
from pathlib import Path
from service.client.local import LocalClient
from service.commands.datasets.adding import add_dataset
from service.domain.people import Actor
from service.settings import load_settings
from service.store.transaction import open_store

url, home, pets, module, name, after = sys.argv[1:]
owner = importlib.import_module(module)
real = getattr(owner, name)

def crash(*given, **named):
    if after == "after":
        real(*given, **named)
    os._exit(9)

setattr(owner, name, crash)
settings = load_settings({"CNNCTL_HOME": home})
add_dataset(open_store(url), settings, "pets", Path(pets), actor=Actor(name="ada"))
"""


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [
        ("service.commands.datasets.adding", "copy_folder", "after"),
        ("os", "sync", "before"),
        ("service.commands.datasets.publishing", "_put_in_place", "before"),
        ("service.commands.datasets.publishing", "_put_in_place", "after"),
    ],
)
def test_a_crash_between_copy_and_commit_leaves_no_dataset_and_goes_with_gc(
    store_url: str,
    store: Store,
    settings: Settings,
    pets: Path,
    clock: Clock,
    add: Add,
    module: str,
    name: str,
    after: str,
) -> None:
    words = [store_url, str(settings.home_dir), str(pets), module, name, after]
    done = subprocess.run([sys.executable, "-c", CRASH, *words], capture_output=True, check=False)
    assert done.returncode == 9, done.stderr
    assert list_dataset_views(store) == []
    with pytest.raises(SpecError, match="Unknown dataset"):
        submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    left = list_names(settings)
    assert left
    assert list_garbage(store, settings, OLD) == []  # somebody could still go on
    make_old(settings, clock)
    found = list_garbage(store, settings, OLD)
    assert {one.kind for one in found} == {Kind.DATASET}
    assert [remove(store, one, OLD) for one in found] == [""] * len(found)
    assert list_names(settings) == []
    assert add().files == 121


def test_what_a_crash_left_in_its_place_is_no_obstacle_and_what_is_used_stays(
    store_url: str, store: Store, settings: Settings, pets: Path, clock: Clock, add: Add
) -> None:
    words = [store_url, str(settings.home_dir), str(pets)]
    where = ["service.commands.datasets.publishing", "_put_in_place", "after"]
    subprocess.run([sys.executable, "-c", CRASH, *words, *where], capture_output=True, check=False)
    (left,) = (path for path in settings.datasets_dir.iterdir() if path.name != INCOMING)
    make_old(settings, clock)
    found = [one for one in list_garbage(store, settings, OLD) if one.path == left]
    view = add()
    assert list_names(settings) == [view.version, *list_names(settings)[1:]]
    assert [remove(store, one, OLD) for one in found] == ["it is needed again"]
    make_old(settings, clock)
    assert left not in [one.path for one in list_garbage(store, settings, OLD)]
    assert submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)


def test_what_another_service_has_put_into_the_same_folder_stays(
    store: Store, settings: Settings, clock: Clock, add: Add
) -> None:
    add()
    (settings.datasets_dir / "theirs@0123456789abcdef").mkdir()
    (settings.datasets_dir / "mnist.npz").touch()
    make_old(settings, clock)
    assert list_garbage(store, settings, OLD) == []


def make_old(settings: Settings, clock: Clock) -> None:
    """Let two days go by since anything was changed in the folder of the datasets."""
    for path in (*settings.datasets_dir.iterdir(), *(settings.datasets_dir / INCOMING).iterdir()):
        os.utime(path, (clock.now.timestamp(), clock.now.timestamp()))
    clock.advance(2 * DAY)


@pytest.fixture
def run(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `cnnctl dataset`; what it prints on standard output."""
    monkeypatch.setattr(cli, "open_client", lambda: LocalClient(store, settings, ADA))

    def invoke(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli.command, words)
        assert done.exit_code == code, done.output
        return done.stdout

    return invoke


def test_the_commands_print_what_is_documented(run: Callable[..., str], pets: Path) -> None:
    assert run("list") == ""
    added = json.loads(run("add", "pets", str(pets), "--describe", "cats, dogs", "--json"))
    check_keys(added, "dataset add NAME PATH")
    assert "cats, dogs" in run("list")
    check_keys(json.loads(run("list", "--json")), "dataset list")
    assert run("remove", "pets") == "Dataset pets is removed.\n"
    assert "pets@" in run("add", "pets", str(pets))
    check_keys(json.loads(run("show", "pets", "--json")), "dataset show NAME")
    shown = run("show", "pets")
    assert added["digest"] in shown
    assert "needed by jobs" not in shown


def test_a_description_has_bounds(store: Store, settings: Settings, pets: Path) -> None:
    with pytest.raises(SpecError, match="--describe"):
        add_dataset(store, settings, "pets", pets, actor=ADA, description="x" * 501)


def test_a_view_of_a_dataset_is_plain_json(add: Add) -> None:
    assert json.loads(json.dumps(to_json(add())))["name"] == "pets"


def test_the_copy_tells_how_far_it_is(store: Store, settings: Settings, pets: Path) -> None:
    told: list[tuple[int, int]] = []
    view = add_dataset(store, settings, "pets", pets, actor=ADA, report=lambda *done: told.append(done))
    assert told[-1] == (view.bytes, view.bytes)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_jobs_with_other_datasets_are_not_asked_about(add: Add, store: Store, settings: Settings) -> None:
    add()
    job_id = JobId(submit(store, settings, "lenet5", {"data.dataset": "digits"}, owner=BOB).job)
    assert isinstance(job_id, int)
    remove_dataset(store, settings, "pets", actor=ADA)
    cancel(store, JobId(job_id), actor=BOB)
    retry(store, JobId(job_id), actor=BOB)
