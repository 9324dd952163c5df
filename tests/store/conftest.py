"""Real run folders with checkpoints, and their rows."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service.digest import seal
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, JobId
from service.domain.people import SCHEDULER
from service.domain.run_folder import (
    CHECKPOINTS_DIR,
    EVENTS_FILE,
    LAUNCH_FILE,
    LOG_FILE,
    MANIFEST_DIGEST,
    MANIFEST_FILE,
    SPEC_FILE,
    TENSORS_FILE,
    checkpoint_name,
)
from service.domain.states import CheckpointKind, JobState, Outcome
from service.settings import Settings, load_settings
from service.store.jobs import checkpoints, jobs
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import HOST

pytest.register_assert_rewrite("tests.store.picture")

KEPT = ("model.keras", "best.keras", "network.json", SPEC_FILE, EVENTS_FILE, LOG_FILE, LAUNCH_FILE)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of host `gpu01`, whose run folders are in `tmp_path/runs`."""
    return load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_HOST": HOST})


@pytest.fixture
def add_run(store: Store, settings: Settings, claimed: Callable[..., Attempt]) -> Callable[..., Attempt]:
    """An attempt with its folder and checkpoints of steps 1 (the best), 2 and 3; ended with an `outcome`."""

    def add(outcome: Outcome | None = None, *, job_id: JobId | None = None) -> Attempt:
        attempt = claimed(job_id, runs_dir=str(settings.runs_dir))
        folder = Path(attempt.run_dir)
        folder.mkdir(parents=True)
        for name in KEPT:
            (folder / name).write_text("kept")
        with store.transaction() as tx:
            for step in (1, 2, 3):
                checkpoints.add_checkpoint(tx, attempt.id, write_checkpoint(folder, step))
            if outcome:
                end_attempt(tx, attempt, outcome, reason="", actor=SCHEDULER, retry_limit=3)
        return attempt

    return add


def write_checkpoint(folder: Path, step: int) -> Checkpoint:
    """A checkpoint on disk with the files of a real one, and its row."""
    path = folder / CHECKPOINTS_DIR / checkpoint_name(step)
    path.mkdir(parents=True)
    tensors = bytes([step]) * 100
    digest = hashlib.sha256(tensors).hexdigest()
    (path / TENSORS_FILE).write_bytes(tensors)
    (path / MANIFEST_FILE).write_text(json.dumps(seal({MANIFEST_DIGEST: digest})))
    kind = CheckpointKind.BEST if step == 1 else CheckpointKind.LAST
    return Checkpoint(step=step, epoch=1, kind=kind, bytes=len(tensors), digest=digest, path=str(path))


def steps_on_disk(attempt: Attempt) -> list[int]:
    """The steps of the checkpoints that lie in an attempt's folder."""
    return sorted(int(path.name[5:]) for path in (Path(attempt.run_dir) / CHECKPOINTS_DIR).glob("step-*"))


def steps_in_sql(store: Store, job_id: JobId) -> list[int]:
    with store.reading() as tx:
        return sorted(checkpoint.step for checkpoint in checkpoints.list_checkpoints(tx, job_id))


def state_of(store: Store, job_id: JobId) -> JobState:
    with store.reading() as tx:
        return jobs.get_job(tx, job_id).state
