"""What a supervisor does before its trainer starts."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from service.domain import run_folder as files
from service.domain.jobs import Attempt
from service.settings import load_settings
from service.store.jobs import attempts
from service.store.transaction import Store
from workers.attempts.supervisor import Supervisor
from workers.attempts.trainer_setup import UnwritableFolder


class NoTrainer(Exception):
    """Stands for the moment at which the trainer would start."""


class Refusing:
    """A starter that looks at the folder and starts nothing."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def start(self, run_dir: Path) -> None:
        self.found = {path.name for path in run_dir.iterdir()}
        raise NoTrainer


def test_a_run_folder_of_another_database_is_moved_aside(
    store: Store, claimed: Callable[..., Attempt], tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "1" / "1"
    attempt = dataclasses.replace(claimed(), run_dir=str(folder))
    (folder / files.CHECKPOINTS_DIR / "step-0000000160").mkdir(parents=True)
    (folder / files.EVENTS_FILE).write_text('{"kind": "epoch", "epoch": 4}\n')
    starter = Refusing()
    supervisor = Supervisor(store, load_settings({"CNNCTL_HOME": str(tmp_path)}), attempt, threads_per_gpu=1)
    supervisor.prepare()
    with pytest.raises(NoTrainer):
        supervisor.start(starter)  # type: ignore[arg-type]
    assert starter.found == {files.SPEC_FILE, files.LAUNCH_FILE, files.LEASE_FILE}
    (aside,) = folder.parent.glob(f"{folder.name}.found-*")
    assert (aside / files.EVENTS_FILE).read_text().startswith('{"kind": "epoch"')


def test_a_foreign_run_folder_in_the_database_is_never_touched(
    store: Store, claimed: Callable[..., Attempt], tmp_path: Path
) -> None:
    foreign = tmp_path / "private"
    foreign.mkdir()
    (foreign / files.EVENTS_FILE).write_text('{"kind": "ended", "outcome": "failed", "reason": "secret"}\n')
    attempt = dataclasses.replace(claimed(), run_dir=str(foreign))
    supervisor = Supervisor(store, load_settings({"CNNCTL_HOME": str(tmp_path)}), attempt, threads_per_gpu=1)
    supervisor.renew_lease()
    supervisor.adopt()
    supervisor.follow()
    assert [path.name for path in foreign.iterdir()] == [files.EVENTS_FILE]
    with store.reading() as tx:
        assert "secret" not in attempts.get_attempt(tx, attempt.id).reason


def test_a_link_that_leads_out_of_the_run_folders_gets_no_run_folder(
    store: Store, claimed: Callable[..., Attempt], tmp_path: Path
) -> None:
    attempt = claimed()
    (tmp_path / "private").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / str(attempt.job_id)).symlink_to(tmp_path / "private")
    supervisor = Supervisor(store, load_settings({"CNNCTL_HOME": str(tmp_path)}), attempt, threads_per_gpu=1)
    with pytest.raises(UnwritableFolder, match="symbolic link"):
        supervisor.prepare()
    assert list((tmp_path / "private").iterdir()) == []
