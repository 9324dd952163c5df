"""Compares the database with this host's disk: checkpoints and run folders."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from cnnctl.files import file_digest
from cnnctl.views.ops import Finding
from service.commands.ops.run_folders import keep_orphans, list_run_folders
from service.digest import is_sealed
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, AttemptId, JobId
from service.domain.run_folder import (
    MANIFEST_DIGEST,
    MANIFEST_FILE,
    TENSORS_FILE,
    is_checkpoint,
    job_folder,
)
from service.domain.states import AttemptState, JobState
from service.settings import Settings
from service.store.jobs import attempts, checkpoints
from service.store.transaction import Store

UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
RESUMABLE = (*UNFINISHED, JobState.FAILED, JobState.CANCELLED)
SETTLE_SECONDS = 2.0  # a worker removes a checkpoint's row, and within this time its files
MOST_NAMED = 3

Tries = Sequence[tuple[Attempt, Sequence[Checkpoint]]]


def _settle() -> None:
    time.sleep(SETTLE_SECONDS)


def check_checkpoints(
    store: Store,
    settings: Settings,
    *,
    deep: bool,
    settle: Callable[[], object] = _settle,
) -> Iterator[Finding]:
    """Find checkpoints of resumable jobs that differ from their rows; `deep` reads whole checkpoints.

    While a trainer runs, its rows may be behind the disk for a moment, so a difference is checked again.
    """
    tries = _list_tries(store, settings)
    damage = _map_damage(tries, settings, deep=deep)
    if any(attempt.state is not AttemptState.ENDED and attempt.id in damage for attempt, _ in tries):
        settle()
        tries = _list_tries(store, settings)
        damage = _map_damage(tries, settings, deep=deep)
    for job_id, of_job in groupby(tries, key=lambda pair: pair[0].job_id):
        yield from _report_damage(job_id, list(of_job), damage)


def check_run_folders(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find run folders without a row, and rows of unfinished jobs without their run folder."""
    folders = list_run_folders(settings.runs_dir)
    with store.reading() as tx:
        orphans = keep_orphans(tx, folders)
        tries = attempts.list_attempts_of(tx, UNFINISHED)
    if orphans:
        paths = shorten([str(folder.path) for folder in orphans])
        yield Finding(
            subject="folder without row",
            found=f"run folders that belong to no attempt in the database: {paths}",
            itself="nothing: they stay and take disk space",
            remedy="cnnctl gc --orphans --dry-run shows those that are old enough to go",
        )
    for attempt in tries:
        here = attempt.host_name == settings.host_name and attempt.trainer_pid is not None
        if here and not Path(attempt.run_dir).is_dir():
            yield _report_missing_folder(attempt)


def _report_missing_folder(attempt: Attempt) -> Finding:
    ended = attempt.state is AttemptState.ENDED
    return Finding(
        subject="row without folder",
        found=f"attempt {attempt.number} of job {attempt.job_id} has no run folder {attempt.run_dir}",
        itself="the job goes on from a checkpoint of another attempt; it is paused where none is left"
        if ended
        else "its trainer fails when it writes there",
        remedy="mount what CNNCTL_RUNS_DIR names, or restore the folder from a backup",
    )


def _list_tries(store: Store, settings: Settings) -> Tries:
    """Attempts with checkpoints, oldest first by job, whose folders this host has or should have."""
    with store.reading() as tx:
        tries = attempts.list_attempts_of(tx, RESUMABLE)
        rows = checkpoints.list_checkpoints_of(tx, RESUMABLE)
    here = [a for a in tries if a.host_name == settings.host_name or Path(a.run_dir).is_dir()]
    return [(a, rows[a.id]) for a in sorted(here, key=lambda a: a.job_id) if a.id in rows]


def _map_damage(tries: Tries, settings: Settings, *, deep: bool) -> Mapping[AttemptId, Mapping[int, str]]:
    """The damage of checkpoints, in words, by attempt and step."""
    found: dict[AttemptId, dict[int, str]] = {}
    for attempt, known in tries:
        for checkpoint in known:
            of_job = job_folder(settings.runs_dir, attempt.job_id)
            if not is_checkpoint(checkpoint.path, of_job):
                wrong = f"{checkpoint.path} does not lie in {of_job}, and is not opened"
            else:
                wrong = _what_is_wrong(checkpoint, deep=deep)
            if wrong:
                found.setdefault(attempt.id, {})[checkpoint.step] = wrong
    return found


def _what_is_wrong(checkpoint: Checkpoint, *, deep: bool) -> str:
    folder = Path(checkpoint.path)
    tensors = folder / TENSORS_FILE
    try:
        size = tensors.stat().st_size
        manifest = json.loads((folder / MANIFEST_FILE).read_text())
        if not (isinstance(manifest, dict) and is_sealed(manifest)):
            return f"{folder / MANIFEST_FILE} is not as it was written"
        if size != checkpoint.bytes:
            return f"{tensors} has {size} bytes and not {checkpoint.bytes}"
        if manifest[MANIFEST_DIGEST] != checkpoint.digest:
            return f"{folder / MANIFEST_FILE} is of another checkpoint"
        if deep and file_digest(tensors) != checkpoint.digest:
            return f"{tensors} has another digest than was stored"
    except FileNotFoundError as error:
        return f"{error.filename} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{folder} cannot be read: {error}"
    return ""


def _report_damage(
    job_id: JobId, tries: Tries, damage: Mapping[AttemptId, Mapping[int, str]]
) -> Iterator[Finding]:
    words = [wrong for attempt, _ in tries for wrong in damage.get(attempt.id, {}).values()]
    if not words:
        return
    good = [
        (attempt.number, c.step)
        for attempt, known in tries
        for c in known
        if c.step not in damage.get(attempt.id, {})
    ]
    goes_on = f"it goes on from step {max(good)[1]}" if good else "it is paused until you decide"
    count = f"{len(words)} of {len(words) + len(good)} checkpoints"
    yield Finding(
        subject="unreadable checkpoint",
        found=f"{count} of job {job_id} cannot be used: {shorten(words)}",
        itself=f"when the job is started again, {goes_on}",
        remedy="restore the folder from a backup if they matter; check the disk and CNNCTL_RUNS_DIR",
    )


def shorten(words: Sequence[str]) -> str:
    """The first few of many words, and how many more there are."""
    more = len(words) - MOST_NAMED
    return "; ".join(words[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
