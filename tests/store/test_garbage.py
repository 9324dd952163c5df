"""What no job can still need goes, its row first; everything else stays."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from service.cli.ops import garbage as cli
from service.commands.jobs.control import retry
from service.commands.ops import garbage
from service.commands.ops.garbage import Kind, Policy, list_garbage, remove
from service.commands.people.audit import list_audit_views
from service.commands.people.identity import current_actor
from service.db.tables import attempts as attempt_rows
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt
from service.domain.run_folder import CHECKPOINTS_DIR, found_name, unfinished_name
from service.domain.states import CheckpointKind, JobState, Outcome, Subject
from service.settings import Settings
from service.store.jobs import checkpoints, jobs
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock
from tests.json_keys import check_keys
from tests.store.conftest import KEPT, state_of, steps_in_sql, steps_on_disk

DAY = 24 * 3600
MONTH = Policy(older_than_days=30, orphans=False)
ORPHANS = Policy(older_than_days=30, orphans=True)
AddRun = Callable[..., Attempt]


@pytest.fixture
def collect(store: Store, settings: Settings) -> Callable[..., list[str]]:
    """Remove all waste; returns why some of it stayed."""

    def run(policy: Policy = MONTH) -> list[str]:
        return [remove(store, waste, policy) for waste in list_garbage(store, settings, policy)]

    return run


@pytest.mark.parametrize(
    ("outcome", "state", "days", "left"),
    [
        (Outcome.SUCCEEDED, JobState.SUCCEEDED, 0, [1]),
        (Outcome.SUCCEEDED, JobState.SUCCEEDED, 31, [1]),
        (Outcome.FAILED, JobState.FAILED, 29, [1, 2, 3]),
        (Outcome.FAILED, JobState.FAILED, 31, []),
        (Outcome.CANCELLED, JobState.CANCELLED, 29, [1, 2, 3]),
        (Outcome.CANCELLED, JobState.CANCELLED, 31, []),
        (Outcome.INTERRUPTED, JobState.QUEUED, 400, [1, 2, 3]),
        (Outcome.LOST, JobState.QUEUED, 400, [1, 2, 3]),
        (None, JobState.RUNNING, 400, [1, 2, 3]),
    ],
)
def test_checkpoints_go_only_where_no_resume_can_want_them(
    store: Store,
    clock: Clock,
    add_run: AddRun,
    collect: Callable[..., list[str]],
    outcome: Outcome | None,
    state: JobState,
    days: int,
    left: list[int],
) -> None:
    attempt = add_run(outcome)
    assert state_of(store, attempt.job_id) is state
    clock.advance(days * DAY)
    assert not any(collect())
    assert steps_on_disk(attempt) == left
    assert steps_in_sql(store, attempt.job_id) == left
    assert {path.name for path in Path(attempt.run_dir).iterdir()} == {*KEPT, CHECKPOINTS_DIR}
    assert collect() == []


def test_of_several_attempts_the_best_checkpoint_of_the_job_stays(
    store: Store, add_run: AddRun, collect: Callable[..., list[str]]
) -> None:
    first = add_run(Outcome.LOST)
    second = add_run(Outcome.SUCCEEDED, job_id=first.job_id)
    collect()
    assert (steps_on_disk(first), steps_on_disk(second)) == ([], [1])


def test_looking_deletes_nothing_and_says_how_much_would_go(
    store: Store, settings: Settings, add_run: AddRun
) -> None:
    attempt = add_run(Outcome.SUCCEEDED)
    found = list_garbage(store, settings, MONTH)
    assert [waste.path.name for waste in found] == ["step-0000000002", "step-0000000003"]
    assert all(waste.bytes > 100 and "succeeded" in waste.why for waste in found)
    assert steps_on_disk(attempt) == steps_in_sql(store, attempt.job_id) == [1, 2, 3]


def test_a_job_that_is_retried_after_the_look_keeps_its_checkpoints(
    store: Store, settings: Settings, clock: Clock, add_run: AddRun
) -> None:
    attempt = add_run(Outcome.FAILED)
    clock.advance(31 * DAY)
    found = list_garbage(store, settings, MONTH)
    assert len(found) == 3
    retry(store, attempt.job_id, actor=ADA)
    assert [remove(store, waste, MONTH) for waste in found] == [garbage.NEEDED_AGAIN] * 3
    assert steps_on_disk(attempt) == steps_in_sql(store, attempt.job_id) == [1, 2, 3]


def test_a_job_that_failed_again_meanwhile_keeps_its_checkpoints(
    store: Store, settings: Settings, clock: Clock, add_run: AddRun
) -> None:
    first = add_run(Outcome.FAILED)
    clock.advance(31 * DAY)
    found = list_garbage(store, settings, MONTH)
    retry(store, first.job_id, actor=ADA)
    add_run(Outcome.FAILED, job_id=first.job_id)
    assert {remove(store, waste, MONTH) for waste in found} == {garbage.NEEDED_AGAIN}
    assert steps_on_disk(first) == [1, 2, 3]


def test_a_retry_that_is_about_to_commit_is_waited_for(
    store: Store, settings: Settings, clock: Clock, add_run: AddRun
) -> None:
    attempt = add_run(Outcome.FAILED)
    clock.advance(31 * DAY)
    waste = list_garbage(store, settings, MONTH)[0]
    with ThreadPoolExecutor(1) as pool:
        with store.transaction() as tx:
            assert jobs.set_state_if(tx, attempt.job_id, JobState.FAILED, JobState.QUEUED, reason="")
            removed = pool.submit(remove, store, waste, MONTH)
            with pytest.raises(TimeoutError):
                removed.result(timeout=0.3)
        assert removed.result() == garbage.NEEDED_AGAIN
    assert steps_on_disk(attempt) == steps_in_sql(store, attempt.job_id) == [1, 2, 3]


def test_of_a_collection_and_a_retry_at_once_each_row_has_its_folder(
    store: Store, settings: Settings, clock: Clock, add_run: AddRun
) -> None:
    attempts = [add_run(Outcome.FAILED) for _ in range(8)]
    clock.advance(31 * DAY)
    found = list_garbage(store, settings, MONTH)
    ready = threading.Barrier(2)

    def retry_all() -> None:
        ready.wait()
        for attempt in reversed(attempts):
            retry(store, attempt.job_id, actor=ADA)

    thread = threading.Thread(target=retry_all)
    thread.start()
    ready.wait()
    for waste in found:
        remove(store, waste, MONTH)
    thread.join()
    for attempt in attempts:
        assert steps_in_sql(store, attempt.job_id) == steps_on_disk(attempt)
        assert state_of(store, attempt.job_id) is JobState.QUEUED


def test_what_a_crash_between_row_and_folder_left_is_found_again(
    store: Store, add_run: AddRun, collect: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = add_run(Outcome.SUCCEEDED)

    def crash(path: Path) -> None:
        assert int(path.name[5:]) not in steps_in_sql(store, attempt.job_id)  # the row went first
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            collect()
    assert steps_on_disk(attempt) == [1, 2, 3]
    assert collect() == ["", ""]
    assert steps_on_disk(attempt) == steps_in_sql(store, attempt.job_id) == [1]


def test_rows_go_too_when_somebody_has_deleted_the_folders(
    store: Store, clock: Clock, add_run: AddRun, collect: Callable[..., list[str]]
) -> None:
    attempt = add_run(Outcome.CANCELLED)
    shutil.rmtree(attempt.run_dir)
    assert collect() == []
    assert steps_in_sql(store, attempt.job_id) == [1, 2, 3]
    clock.advance(31 * DAY)
    assert collect() == ["", "", ""]
    assert steps_in_sql(store, attempt.job_id) == []


def test_what_an_attempt_left_half_written_goes_once_it_has_ended(
    store: Store, add_run: AddRun, collect: Callable[..., list[str]]
) -> None:
    ended = add_run(Outcome.LOST)
    live = add_run(job_id=ended.job_id)
    folders = [Path(a.run_dir, CHECKPOINTS_DIR, unfinished_name(4, pid=99)) for a in (ended, live)]
    for folder in folders:
        folder.mkdir()
    assert collect() == [""]
    assert [folder.exists() for folder in folders] == [False, True]
    assert steps_on_disk(ended) == steps_on_disk(live) == [1, 2, 3]


def orphan(runs_dir: Path, name: str, *, touched_at: float) -> Path:
    folder = runs_dir / name
    folder.mkdir(parents=True)
    (folder / "trainer.log").write_text("left behind")
    for path in (folder / "trainer.log", folder):
        os.utime(path, (touched_at, touched_at))
    return folder


def test_folders_without_a_row_go_when_they_are_old_and_asked_for(
    settings: Settings, clock: Clock, add_run: AddRun, collect: Callable[..., list[str]]
) -> None:
    now = clock.now.timestamp()
    old, new = now - 31 * DAY, now - 29 * DAY
    known = add_run(Outcome.FAILED)
    for path in (*Path(known.run_dir).iterdir(), Path(known.run_dir)):
        os.utime(path, (old, old))
    runs = settings.runs_dir
    going = [
        orphan(runs, "77/1", touched_at=old),
        orphan(runs, f"{known.job_id}/2", touched_at=old),
        orphan(runs, f"{known.job_id}/{found_name('1', at_ns=int(old) * 10**9)}", touched_at=old),
    ]
    staying = [
        orphan(runs, "78/1", touched_at=new),
        orphan(runs, f"78/{found_name('1', at_ns=int(new) * 10**9)}", touched_at=old),
        orphan(runs, "78/notes", touched_at=old),
    ]
    assert collect(MONTH) == []
    assert collect(ORPHANS) == ["", "", ""]
    assert not any(path.exists() for path in going)
    assert all(path.exists() for path in staying)
    assert steps_on_disk(known) == [1, 2, 3]


def test_unpacked_images_go_when_no_run_has_used_them_for_long_and_surveys_stay(
    settings: Settings, clock: Clock, collect: Callable[..., list[str]]
) -> None:
    now, folder = clock.now.timestamp(), settings.runs_dir / ".surveys"
    going = [orphan(folder, name, touched_at=now - 31 * DAY) for name in ("0f-a1", "0f-a1.77")]
    staying = [orphan(folder, "0f-b2", touched_at=now - 29 * DAY), folder / "survey.json"]
    staying[1].write_text("{}")
    os.utime(staying[1], (0, 0))
    assert collect() == ["", ""]
    assert not any(path.exists() for path in going)
    assert all(path.exists() for path in staying)
    assert collect(Policy(older_than_days=0, orphans=False)) == [""]


def test_a_folder_that_an_attempt_has_got_meanwhile_stays(
    store: Store, settings: Settings, clock: Clock, add_run: AddRun
) -> None:
    first = add_run(Outcome.LOST)
    (left,) = [orphan(settings.runs_dir, f"{first.job_id}/2", touched_at=0)]
    (waste,) = list_garbage(store, settings, ORPHANS)
    left.rename(left.with_name("elsewhere"))
    second = add_run(job_id=first.job_id)
    assert Path(second.run_dir) == waste.path
    assert (waste.kind, remove(store, waste, ORPHANS)) == (Kind.ORPHAN, garbage.NEEDED_AGAIN)
    assert steps_on_disk(second) == [1, 2, 3]


def test_a_linked_folder_is_somebody_elses(
    settings: Settings, tmp_path: Path, add_run: AddRun, collect: Callable[..., list[str]]
) -> None:
    attempt = add_run(Outcome.SUCCEEDED)
    other = orphan(tmp_path, "other", touched_at=0)
    Path(attempt.run_dir, CHECKPOINTS_DIR, "step-0000000009").symlink_to(other)
    (settings.runs_dir / "9").symlink_to(other)
    assert not any(collect(ORPHANS))
    assert (other / "trainer.log").exists()


@pytest.fixture
def session(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "open_session", lambda: (settings, store))


@pytest.mark.usefixtures("session")
def test_the_command_shows_first_and_deletes_then(store: Store, add_run: AddRun) -> None:
    attempt = add_run(Outcome.SUCCEEDED)
    looked = CliRunner().invoke(cli.command, ["--dry-run"])
    assert looked.exit_code == 0
    assert "has succeeded, and this is not its best" in looked.stdout
    assert "Would delete 2 folders" in looked.stdout
    assert "nothing was deleted" in looked.stdout
    assert steps_on_disk(attempt) == [1, 2, 3]
    view = json.loads(CliRunner().invoke(cli.command, ["--dry-run", "--json"]).stdout)
    assert view["dry_run"] is True
    assert view["bytes"] == sum(folder["bytes"] for folder in view["folders"]) > 200
    (first, _) = view["folders"]
    assert (first["job"], first["kind"], first["kept"]) == (attempt.job_id, "checkpoint", "")
    check_keys(view, "gc")
    assert "Deleted 2 folders," in CliRunner().invoke(cli.command, []).stdout
    assert steps_on_disk(attempt) == steps_in_sql(store, attempt.job_id) == [1]
    assert "Deleted 0 folders, 0 B, and 0 minutes" in CliRunner().invoke(cli.command, []).stdout
    (entry,) = list_audit_views(store, subject=Subject.GARBAGE)  # looking and deleting nothing leave none
    assert (entry.action, entry.name, entry.actor) == ("removed", HOST, current_actor(store).name)
    assert entry.after == {"folders": 2, "bytes": view["bytes"], "jobs": [attempt.job_id]}


def test_nothing_outside_of_a_jobs_folder_goes_whatever_its_rows_say(
    store: Store, clock: Clock, add_run: AddRun, collect: Callable[..., list[str]], tmp_path: Path
) -> None:
    attempt, moved = add_run(Outcome.FAILED), add_run(Outcome.FAILED)
    private = tmp_path / "private" / "1"
    foreign = private / CHECKPOINTS_DIR / "step-0000000009"
    for path in (foreign, private / CHECKPOINTS_DIR / unfinished_name(4, pid=1)):
        path.mkdir(parents=True)
        (path / "kept").touch()
    shutil.rmtree(Path(moved.run_dir) / CHECKPOINTS_DIR)
    (Path(moved.run_dir) / CHECKPOINTS_DIR).symlink_to(private / CHECKPOINTS_DIR)
    values = {"epoch": 1, "kind": CheckpointKind.LAST, "bytes": 1, "digest": "d"}
    with store.transaction() as tx:
        for step, path in enumerate((foreign, private, tmp_path / "runs", Path(moved.run_dir)), start=4):
            row = Checkpoint(step=step, path=str(path), **values)  # type: ignore[arg-type]
            checkpoints.add_checkpoint(tx, attempt.id, row)
    clock.advance(31 * DAY)
    assert not any(collect())
    assert steps_on_disk(attempt) == []
    assert steps_in_sql(store, attempt.job_id) == [4, 5, 6, 7]
    assert len(list((tmp_path / "private").rglob("kept"))) == 2
    with store.transaction() as tx:
        row_of = attempt_rows.c.id == attempt.id
        tx.connection.execute(update(attempt_rows).where(row_of).values(run_dir=str(private)))
    assert collect() == []
    assert len(list((tmp_path / "private").rglob("kept"))) == 2
