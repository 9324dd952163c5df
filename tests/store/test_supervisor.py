"""What a supervisor does before its trainer starts."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from service.domain import run_folder as files
from service.domain.jobs import Attempt
from service.settings import load_settings
from service.store.transaction import Store
from workers.attempts.supervisor import Supervisor


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
