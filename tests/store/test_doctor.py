"""Doctor names each bad state, on real rows, folders and processes, and says nothing of healthy ones."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text, update

from cnnctl.views.ops import Finding
from service.cli.ops import doctor as cli
from service.commands.ops import doctor
from service.commands.ops.doctor_folders import check_checkpoints, check_run_folders
from service.commands.ops.doctor_jobs import check_clocks, check_leases, check_trainers
from service.db.engine import make_engine
from service.db.tables import hosts as host_rows
from service.domain.jobs import Attempt
from service.domain.people import SCHEDULER
from service.domain.run_folder import (
    MANIFEST_DIGEST,
    MANIFEST_FILE,
    TENSORS_FILE,
    checkpoint_name,
    found_name,
)
from service.domain.states import Outcome
from service.process import find_start
from service.settings import Settings, load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, checkpoints
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store, open_store
from tests.conftest import HOST, Clock
from tests.json_keys import check_keys

AddRun = Callable[..., Attempt]


@pytest.fixture
def look(store: Store, settings: Settings) -> Callable[..., list[Finding]]:
    """All checks of jobs, in the order in which doctor makes them."""

    def run(*, deep: bool = False, settle: Callable[[], object] = lambda: None) -> list[Finding]:
        return [
            *check_leases(store, settings),
            *check_trainers(store, settings),
            *check_clocks(store, settings),
            *check_checkpoints(store, settings, deep=deep, settle=settle),
            *check_run_folders(store, settings),
        ]

    return run


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own, as a trainer is."""
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(words, start_new_session=True)
    yield child
    child.kill()
    child.wait()


def record(store: Store, attempt: Attempt, child: "subprocess.Popen[bytes]", *, later: int = 0) -> None:
    """Say in SQL that this process is the attempt's trainer."""
    started = find_start(child.pid)
    assert started is not None
    with store.transaction() as tx:
        attempts.write(tx, attempt, trainer_pid=child.pid, trainer_started=started + later)


def end(store: Store, attempt: Attempt, outcome: Outcome) -> None:
    with store.transaction() as tx:
        end_attempt(tx, attempt, outcome, reason="", actor=SCHEDULER, retry_limit=3)


def set_clock_ahead(store: Store, name: str, seconds: float | None) -> None:
    with store.transaction() as tx:
        rows = update(host_rows).where(host_rows.c.name == name)
        tx.connection.execute(rows.values(clock_ahead_seconds=seconds))


def only(found: list[Finding], subject: str) -> Finding:
    """The one finding, which says what happens by itself and what to do."""
    (finding,) = found
    assert finding.subject == subject
    assert finding.remedy
    assert finding.itself
    return finding


def test_of_a_healthy_service_doctor_says_nothing(
    store: Store,
    add_host: Callable[..., None],
    add_run: AddRun,
    look: Callable[..., list[Finding]],
    process: "subprocess.Popen[bytes]",
) -> None:
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED):
        add_run(outcome)
    lost = add_run(Outcome.LOST)
    live = add_run(job_id=lost.job_id)
    record(store, live, process)
    add_host("gpu02", worker="w2")
    set_clock_ahead(store, HOST, -0.4)
    set_clock_ahead(store, "gpu02", 1.4)
    assert look(deep=True) == []


def test_a_lease_of_an_attempt_that_has_ended_is_named(
    store: Store, claimed: Callable[..., Attempt], look: Callable[..., list[Finding]]
) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        assert attempts.end_if_live(tx, attempt, Outcome.FAILED, reason="")
    finding = only(look(), "stale lease")
    assert f"GPU {HOST}-0 is leased to attempt 1 of job {attempt.job_id}" in finding.found
    with store.transaction() as tx:
        tx.connection.exec_driver_sql(finding.remedy.partition("in the database: ")[2])
    assert look() == []


def test_an_attempt_whose_worker_is_silent_is_named(
    store: Store, clock: Clock, settings: Settings, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    clock.advance(settings.lease_seconds)
    assert list(check_leases(store, settings)) == []
    clock.advance(1)
    finding = only(list(check_leases(store, settings)), "stale lease")
    assert f"attempt 1 of job {attempt.job_id} on {HOST}" in finding.found
    end(store, attempt, Outcome.LOST)
    assert list(check_leases(store, settings)) == []


def test_a_trainer_that_outlives_its_attempt_is_named(
    store: Store, add_run: AddRun, look: Callable[..., list[Finding]], process: "subprocess.Popen[bytes]"
) -> None:
    attempt = add_run()
    record(store, attempt, process)
    assert look() == []
    end(store, attempt, Outcome.LOST)
    finding = only(look(), "orphaned trainer")
    assert f"process {process.pid} still trains attempt 1 of job {attempt.job_id}" in finding.found
    assert f"kill -9 -- -{process.pid}" in finding.remedy
    process.kill()
    assert process.wait() == -9
    assert look() == []


def test_a_later_process_of_the_same_number_and_one_of_another_host_are_none_of_ours(
    store: Store, add_run: AddRun, process: "subprocess.Popen[bytes]", settings: Settings
) -> None:
    first = add_run()
    record(store, first, process, later=1)
    end(store, first, Outcome.FAILED)
    assert list(check_trainers(store, settings)) == []
    second = add_run()
    record(store, second, process)
    end(store, second, Outcome.FAILED)
    elsewhere = load_settings({"CNNCTL_HOME": settings.home, "CNNCTL_HOST": "gpu02"})
    assert list(check_trainers(store, elsewhere)) == []
    assert len(list(check_trainers(store, settings))) == 1


def test_clocks_that_are_far_apart_are_named(
    store: Store, clock: Clock, add_host: Callable[..., None], settings: Settings
) -> None:
    add_host()
    add_host("gpu02", worker="w2")
    set_clock_ahead(store, HOST, 1.5)
    set_clock_ahead(store, "gpu02", -1.0)
    finding = only(list(check_clocks(store, settings)), "clock skew")
    assert finding.found == f"the clock of {HOST} is 2.5 s ahead of the clock of gpu02"
    set_clock_ahead(store, HOST, 3.25)
    set_clock_ahead(store, "gpu02", None)
    (finding,) = check_clocks(store, settings)
    assert finding.found == f"the clock of {HOST} is 3.2 s ahead of the clock of the database"
    with store.transaction() as tx:
        hosts.leave(tx, HOST, worker="w1")
    assert list(check_clocks(store, settings)) == []


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


def lose_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).unlink()


def tear_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).write_text('{"tensors')


def swap_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).write_text(f'{{"{MANIFEST_DIGEST}": "{"0" * 64}"}}')


def list_in_the_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).write_text("[]")


def lose_the_tensors(folder: Path) -> None:
    (folder / TENSORS_FILE).unlink()


def cut_the_tensors(folder: Path) -> None:
    (folder / TENSORS_FILE).write_bytes(b"\x03" * 97)


DAMAGES = [
    lose,
    lose_the_manifest,
    tear_the_manifest,
    swap_the_manifest,
    list_in_the_manifest,
    lose_the_tensors,
    cut_the_tensors,
]


def newest_checkpoint(attempt: Attempt) -> Path:
    return Path(attempt.run_dir, "checkpoints", checkpoint_name(3))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_is_not_as_its_row_says_is_named(
    add_run: AddRun, look: Callable[..., list[Finding]], damage: Callable[[Path], None]
) -> None:
    attempt = add_run(Outcome.FAILED)
    assert look() == []
    damage(newest_checkpoint(attempt))
    finding = only(look(), "unreadable checkpoint")
    assert f"1 of 3 checkpoints of job {attempt.job_id} cannot be used" in finding.found
    assert str(newest_checkpoint(attempt)) in finding.found
    assert "from step 2" in finding.itself


def test_a_flipped_bit_is_noticed_by_a_deep_look_only(
    add_run: AddRun, look: Callable[..., list[Finding]]
) -> None:
    attempt = add_run(Outcome.INTERRUPTED)
    tensors = newest_checkpoint(attempt) / TENSORS_FILE
    tensors.write_bytes(b"\x02" + tensors.read_bytes()[1:])
    assert look() == []
    assert str(tensors) in only(look(deep=True), "unreadable checkpoint").found


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED, Outcome.LOST, None])
def test_checkpoints_of_every_job_that_could_go_on_are_looked_at(
    add_run: AddRun, look: Callable[..., list[Finding]], outcome: Outcome | None
) -> None:
    lose(newest_checkpoint(add_run(outcome)))
    only(look(), "unreadable checkpoint")


def test_a_succeeded_job_needs_its_checkpoints_no_more(
    add_run: AddRun, look: Callable[..., list[Finding]]
) -> None:
    attempt = add_run(Outcome.SUCCEEDED)
    lose(newest_checkpoint(attempt))
    assert look() == []


def test_a_checkpoint_that_a_trainer_has_just_replaced_is_no_damage(
    store: Store, add_run: AddRun, look: Callable[..., list[Finding]]
) -> None:
    attempt = add_run()
    lose(newest_checkpoint(attempt))

    def ingest() -> None:
        with store.transaction() as tx:
            checkpoints.remove_checkpoint(tx, attempt.job_id, path=str(newest_checkpoint(attempt)))

    assert look(settle=ingest) == []


def test_run_folders_without_a_row_are_named_together(
    settings: Settings, add_run: AddRun, look: Callable[..., list[Finding]]
) -> None:
    attempt = add_run(Outcome.FAILED)
    for name in ("7/1", "8/1", "8/2", f"{attempt.job_id}/{found_name('1', at_ns=5)}"):
        (settings.runs_dir / name).mkdir(parents=True)
    for name in (".surveys", "notes"):
        (settings.runs_dir / name).mkdir()
    finding = only(look(), "folder without row")
    assert str(settings.runs_dir / "8/1") in finding.found
    assert "and 1 more" in finding.found
    assert "cnnctl gc --orphans" in finding.remedy


@pytest.mark.parametrize(
    ("outcome", "named"),
    [(None, True), (Outcome.INTERRUPTED, True), (Outcome.FAILED, False), (Outcome.SUCCEEDED, False)],
)
def test_an_unfinished_job_without_its_run_folder_is_named(
    store: Store,
    settings: Settings,
    add_run: AddRun,
    process: "subprocess.Popen[bytes]",
    outcome: Outcome | None,
    named: bool,  # noqa: FBT001
) -> None:
    attempt = add_run()
    record(store, attempt, process)
    if outcome:
        end(store, attempt, outcome)
    assert list(check_run_folders(store, settings)) == []
    shutil.rmtree(attempt.run_dir)
    found = list(check_run_folders(store, settings))
    assert bool(found) is named
    if named:
        assert attempt.run_dir in only(found, "row without folder").found


def test_an_attempt_whose_folder_is_about_to_be_made_is_healthy(
    claimed: Callable[..., Attempt], look: Callable[..., list[Finding]]
) -> None:
    claimed()
    assert look() == []


def examine(home: Path, url: str, **more: str) -> dict[str, Finding]:
    with pytest.MonkeyPatch.context() as patch:
        settings = load_settings({"CNNCTL_HOME": str(home), "CNNCTL_DATABASE_URL": url, **more})
        patch.setattr(doctor, "load_settings", lambda: settings)
        return {finding.subject: finding for finding in doctor.examine()}


def test_a_database_of_another_revision_is_mended_by_upgrade(tmp_path: Path, database_url: str) -> None:
    finding = examine(tmp_path, database_url)["database"]
    assert finding.remedy == "cnnctl db upgrade"
    assert finding.itself
    store = Store(make_engine(database_url))
    store.upgrade()
    store.close()
    assert examine(tmp_path, database_url)["database"].remedy == ""


def test_a_database_of_a_newer_cnnctl_is_mended_by_upgrading_this_one(
    tmp_path: Path, database_url: str
) -> None:
    with closing(open_store(database_url)) as store:
        store.upgrade()
        with store.transaction() as tx:
            tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    finding = examine(tmp_path, database_url)["database"]
    assert finding.remedy == "upgrade cnnctl on this host; leave the database as it is"


def test_a_disk_that_has_only_its_reserve_left_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cnnctl.db'}"
    finding = examine(tmp_path, url, CNNCTL_DISK_RESERVE="100")["disk reserve"]
    assert "less than 100 % of the disk of" in finding.found
    assert "CNNCTL_DISK_RESERVE" in finding.remedy
    assert "disk reserve" not in examine(tmp_path, url, CNNCTL_DISK_RESERVE="0")


def test_a_broker_that_does_not_answer_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cnnctl.db'}"
    gone = examine(tmp_path, url, CNNCTL_BROKER_URL="redis://127.0.0.1:1/0")["broker"]
    assert gone.remedy.endswith("Connection refused. Is Redis running, and CNNCTL_BROKER_URL right?")
    assert "sent again" in gone.itself
    healthy = examine(tmp_path, url)["broker"]
    assert (healthy.remedy, healthy.itself) == ("", "")


def test_many_findings_of_a_kind_do_not_flood_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = [Finding(subject="stale lease", found=f"lease {n}", remedy="m", itself="i") for n in range(30)]
    monkeypatch.setattr(cli, "examine", lambda deep: alike)
    page = CliRunner().invoke(cli.command, [])
    assert page.exit_code == 1
    assert page.stdout.count("stale lease") == 11
    assert "by itself: i" in page.stdout
    shown = CliRunner().invoke(cli.command, ["--json"]).stdout
    assert shown.count('"stale lease"') == 30
    check_keys(json.loads(shown), "doctor")


def test_a_checkpoint_outside_of_its_jobs_folder_is_named_and_not_opened(
    store: Store, settings: Settings, add_run: AddRun, look: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    attempt = add_run(Outcome.INTERRUPTED)
    newest = Path(attempt.run_dir, "checkpoints", checkpoint_name(3))
    shutil.move(newest, tmp_path / "private")
    newest.symlink_to(tmp_path / "private")
    found = only(look(), "unreadable checkpoint").found
    assert "1 of 3 checkpoints" in found
    assert f"does not lie in {settings.runs_dir}/{attempt.job_id}, and is not opened" in found


def test_where_people_only_submit_nothing_is_asked_that_a_worker_needs(
    store: Store, tmp_path: Path, add_run: AddRun, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host of a compose stack: it has the worker's name, and the run folders are in a volume."""
    if not store_url.startswith("postgresql"):
        pytest.skip("embedded, the host that submits is the one that works")
    attempt = add_run(Outcome.INTERRUPTED)
    shutil.rmtree(attempt.run_dir)
    monkeypatch.setattr(doctor, "_version", lambda package: "")  # the plain install
    home = tmp_path / "home"
    broker = {"CNNCTL_BROKER_URL": "redis://127.0.0.1:1/0"}
    serving = examine(home, store_url, CNNCTL_HOST=HOST, **broker)
    wrong = {subject for subject, finding in serving.items() if finding.remedy}
    assert wrong >= {"packages", "stack", "unreadable checkpoint", "broker"}
    shutil.rmtree(home)
    submitting = examine(home, store_url, CNNCTL_HOST=HOST)
    assert {subject for subject, finding in submitting.items() if finding.remedy} == {"stack"}
    assert not home.exists()
