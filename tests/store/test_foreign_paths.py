"""What people read of a job comes from its folder in CNNCTL_RUNS_DIR, whatever the database says."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.commands.jobs.logs import read_log
from service.commands.networks.trained import get_trained
from service.domain.jobs import Attempt
from service.domain.people import SCHEDULER
from service.domain.run_folder import LOG_FILE
from service.domain.states import Outcome
from service.errors import JobConflict
from service.settings import Settings, load_settings
from service.store.jobs import attempts, logs
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import HOST

MODEL = "model.keras"
ChangeRow = Callable[..., Attempt]


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder of somebody's, with files of the names that a run folder has."""
    folder = tmp_path / "private" / "1"
    folder.mkdir(parents=True)
    for name in (LOG_FILE, MODEL, "best.keras"):
        (folder / name).write_text("secret")
    return folder


@pytest.fixture
def add_succeeded(store: Store, add_run: Callable[..., Attempt]) -> ChangeRow:
    """A job with its run folder, whose attempt has these values in the database."""

    def add(**values: str) -> Attempt:
        attempt = add_run()
        with store.transaction() as tx:
            logs.set_log_tail(tx, attempt.id, "tail")
            attempts.write(tx, attempt, **values)
            end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=SCHEDULER, retry_limit=3)
        return attempt

    return add


def test_the_whole_log_is_read_from_the_jobs_own_folder_only(
    store: Store, settings: Settings, add_succeeded: ChangeRow, private: Path
) -> None:
    number = add_succeeded().job_id
    assert read_log(store, settings, number).text == "kept"
    assert read_log(store, replace(settings, runs=str(private)), number).text == "tail"


@pytest.mark.parametrize("how", ["row", "folder", "file"])
def test_a_log_that_lies_elsewhere_is_not_shown(
    store: Store, settings: Settings, add_succeeded: ChangeRow, private: Path, how: str
) -> None:
    attempt = add_succeeded(**({"run_dir": str(private)} if how == "row" else {}))
    folder = Path(attempt.run_dir)
    if how == "folder":
        folder.rename(folder.with_name("before"))
        folder.symlink_to(private)
    if how == "file":
        (folder / LOG_FILE).unlink()
        (folder / LOG_FILE).symlink_to(private / LOG_FILE)
    assert read_log(store, settings, attempt.job_id).text == "tail"


def test_a_network_that_lies_elsewhere_is_not_loaded(
    store: Store, settings: Settings, add_succeeded: ChangeRow, private: Path
) -> None:
    own = settings.runs_dir / "1" / "1" / MODEL
    for path in (private / MODEL, own / ".." / ".." / ".." / ".." / "private" / "1" / MODEL):
        number = add_succeeded(model_path=str(path)).job_id
        with pytest.raises(JobConflict, match="which does not lie in"):
            get_trained(store, settings, number)
    attempt = add_succeeded(model_path=str(settings.runs_dir / "3" / "1" / MODEL))
    assert get_trained(store, settings, attempt.job_id).folder == Path(attempt.run_dir)
    (Path(attempt.run_dir) / "best.keras").unlink()
    (Path(attempt.run_dir) / "best.keras").symlink_to(private / "best.keras")
    with pytest.raises(JobConflict, match=r"best.keras, which does not lie in"):
        get_trained(store, settings, attempt.job_id)


def test_where_a_network_lies_is_told_by_host_and_no_volume_is_to_be_mounted(
    store: Store, settings: Settings, add_succeeded: ChangeRow, tmp_path: Path
) -> None:
    attempt = add_succeeded(model_path=str(settings.runs_dir / "1" / "1" / MODEL))
    elsewhere = load_settings({"CNNCTL_HOME": str(tmp_path / "elsewhere")})
    shutil.rmtree(attempt.run_dir)
    for seen in (settings, elsewhere):
        with pytest.raises(
            JobConflict, match=rf"lies on {HOST}: run the command there.*docs/stack.md"
        ) as caught:
            get_trained(store, seen, attempt.job_id)
        assert "mount" not in str(caught.value)
