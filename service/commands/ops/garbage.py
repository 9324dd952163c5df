"""Deletes what no job can still need: checkpoints, also half-written ones, orphans, unpacked
images, datasets that nobody uses, and the oldest minutes of the GPUs' history."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from cnnctl.views.ops import GarbageFolder, GarbageView
from service.commands.datasets.files import delete
from service.commands.datasets.leftovers import list_leftovers, release_leftover
from service.commands.ops.run_folders import (
    RunFolder,
    keep_orphans,
    list_checkpoint_folders,
    list_run_folders,
    list_unfinished_folders,
    size_of,
)
from service.commands.people.permissions import check_administrator
from service.domain.bounds import check_option
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, Job
from service.domain.people import Actor
from service.domain.run_folder import CHECKPOINTS_DIR, SURVEYS_DIR, is_checkpoint, job_folder, path_within
from service.domain.states import FINISHED, RETRYABLE, Action, CheckpointKind, JobState, Subject
from service.settings import Settings
from service.store.fleet import gpu_minutes
from service.store.jobs import attempts, checkpoints, jobs
from service.store.people import audit
from service.store.transaction import Store, Transaction

NEEDED_AGAIN = "it is needed again"


class Kind(str, Enum):
    """What garbage is."""

    CHECKPOINT = "checkpoint"
    UNFINISHED = "unfinished"
    ORPHAN = "orphan"
    UNPACKED = "unpacked"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be deleted; what somebody might want again stays for `older_than_days`."""

    older_than_days: int
    orphans: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A folder that may go, and why; `source` is its job or the orphan, None for unpacked images."""

    path: Path
    kind: Kind
    why: str
    bytes: int
    source: Job | RunFolder | None


def list_garbage(store: Store, settings: Settings, policy: Policy) -> Sequence[Garbage]:
    """Everything on this host's disk that may go; changes nothing."""
    check_option("--older-than", policy.older_than_days)
    folders = list_run_folders(settings.runs_dir) if policy.orphans else []
    with store.reading() as tx:
        ended_before = tx.now - timedelta(days=policy.older_than_days)
        by_number = {job.id: job for job in jobs.list_jobs(tx)}
        tries = attempts.list_ended_attempts(tx)
        rows = checkpoints.list_checkpoints_of(tx, FINISHED)
        orphans = keep_orphans(tx, folders)
    found = [
        garbage
        for attempt in tries
        for garbage in _list_of_attempt(
            attempt,
            by_number[attempt.job_id],
            rows.get(attempt.id, ()),
            ended_before,
            here=attempt.host_name == settings.host_name,
            of_job=job_folder(settings.runs_dir, attempt.job_id),
        )
    ]
    unpacked = _list_unpacked(settings.runs_dir / SURVEYS_DIR, ended_before)
    return [*found, *_list_orphans(orphans, ended_before), *unpacked, *_list_datasets(store, settings)]


def remove(store: Store, garbage: Garbage, policy: Policy) -> str:
    """Remove one folder, its row first; returns why it stays, or an empty text.

    A crash between the two leaves a folder without a row, which the next collection finds.
    """
    parent = garbage.path.parent
    if garbage.path.exists() and not os.access(parent, os.W_OK | os.X_OK):
        return f"{parent} cannot be written by this user"
    try:
        if not _release(store, garbage, policy):
            return NEEDED_AGAIN
        delete(garbage.path)
    except OSError as error:
        return str(error) if garbage.path.exists() else ""
    return ""


def remove_old_minutes(store: Store, settings: Settings, *, dry_run: bool, actor: Actor) -> int:
    """Delete the minutes of the GPUs' history that are older than HISTORY_DAYS, or count them; how many."""
    if dry_run:
        with store.reading() as tx:
            return gpu_minutes.count_old(tx)
    with store.transaction() as tx:
        count = gpu_minutes.remove_old(tx)
        if count:
            _record(tx, settings, {"gpu_minutes": count}, actor=actor)
        return count


def describe(
    garbage: Sequence[Garbage], kept: Sequence[str], *, old_minutes: int, dry_run: bool
) -> GarbageView:
    """What was removed, or would be; `kept` says of each folder why it stays, as `remove` did."""
    folders = [
        GarbageFolder(
            path=str(one.path),
            kind=one.kind.value,
            job=one.source.id if isinstance(one.source, Job) else None,
            why=one.why,
            bytes=one.bytes,
            kept=stays,
        )
        for one, stays in zip(garbage, kept, strict=True)
    ]
    freed = sum(folder.bytes for folder in folders if not folder.kept)
    return GarbageView(dry_run=dry_run, bytes=freed, folders=folders, gpu_minutes=old_minutes)


def remove_all(
    store: Store,
    settings: Settings,
    garbage: Sequence[Garbage],
    policy: Policy,
    *,
    actor: Actor,
    steps: Iterable[Garbage] | None = None,
) -> Sequence[str]:
    """Remove one folder after the other and record it; of each, why it stays, as `remove` does.

    `steps` are the same folders, from something that shows how far it is.
    """
    kept: list[str] = []
    try:
        for one in steps or garbage:
            kept.append(remove(store, one, policy))
    finally:  # also of one that Ctrl-C has ended
        record(store, settings, garbage[: len(kept)], kept, actor=actor)
    return kept


def record(
    store: Store, settings: Settings, garbage: Sequence[Garbage], kept: Sequence[str], *, actor: Actor
) -> None:
    """Say in the audit what went on this host; nothing where nothing did. `kept` is as in `describe`."""
    gone = [one for one, stays in zip(garbage, kept, strict=True) if not stays]
    if not gone:
        return
    after = {
        "folders": len(gone),
        "bytes": sum(one.bytes for one in gone),
        "jobs": sorted({one.source.id for one in gone if isinstance(one.source, Job)}),
    }
    with store.transaction() as tx:
        _record(tx, settings, after, actor=actor)


def _record(tx: Transaction, settings: Settings, after: Mapping[str, Any], *, actor: Actor) -> None:
    name = settings.host_name
    audit.add_entry_about(tx, Subject.GARBAGE, name, Action.REMOVED, actor=actor, after=after)


def _list_of_attempt(
    attempt: Attempt,
    job: Job,
    rows: Sequence[Checkpoint],
    ended_before: datetime,
    *,
    here: bool,
    of_job: Path,
) -> Iterator[Garbage]:
    """List what may go of an attempt; if it ran here, also rows whose files somebody has deleted.

    Nothing outside the job's folder in CNNCTL_RUNS_DIR may go, whatever a row says.
    """
    run_dir = Path(attempt.run_dir)
    if path_within(run_dir, of_job) != str(attempt.number):
        return
    best = {row.path for row in rows if row.kind is CheckpointKind.BEST}
    for path in sorted({*list_checkpoint_folders(run_dir), *(Path(row.path) for row in rows if here)}):
        why = _why_not_needed(job, best=str(path) in best, ended_before=ended_before)
        if why and is_checkpoint(path, of_job):
            yield Garbage(path=path, kind=Kind.CHECKPOINT, why=why, bytes=size_of(path), source=job)
    for path in list_unfinished_folders(run_dir):
        why = f"attempt {attempt.number} of job {job.id} ended while it wrote this"
        if path_within(path.parent, of_job) == f"{attempt.number}/{CHECKPOINTS_DIR}":
            yield Garbage(path=path, kind=Kind.UNFINISHED, why=why, bytes=size_of(path), source=job)


def _list_orphans(folders: Sequence[RunFolder], touched_before: datetime) -> Iterator[Garbage]:
    for folder in folders:
        if folder.touched_at() < touched_before.timestamp():
            why = "no attempt in the database has this folder"
            yield Garbage(
                path=folder.path, kind=Kind.ORPHAN, why=why, bytes=size_of(folder.path), source=folder
            )


def _list_unpacked(folder: Path, used_before: datetime) -> Iterator[Garbage]:
    """Unpacked images of datasets: a trainer that uses some touches their folder."""
    for path in sorted(folder.glob("*/")):
        with suppress(OSError):  # it may be deleted meanwhile
            used_at = datetime.fromtimestamp(path.lstat().st_mtime, timezone.utc)
            if used_at < used_before:
                why = f"images of a dataset that no run has used since {used_at:%Y-%m-%d}"
                yield Garbage(path=path, kind=Kind.UNPACKED, why=why, bytes=size_of(path), source=None)


def _list_datasets(store: Store, settings: Settings) -> Iterator[Garbage]:
    for left in list_leftovers(store, settings):
        size = left.path.stat().st_size if left.path.is_file() else size_of(left.path)
        yield Garbage(path=left.path, kind=Kind.DATASET, why=left.why, bytes=size, source=None)


def _why_not_needed(job: Job, *, best: bool, ended_before: datetime) -> str:
    """Why no resume can need a checkpoint of a job any more; empty while one can."""
    if job.state is JobState.SUCCEEDED and not best:
        return f"job {job.id} has succeeded, and this is not its best"
    if job.state in RETRYABLE and job.ended_at is not None and job.ended_at < ended_before:
        return f"job {job.id} has been {job.state.value} since {job.ended_at:%Y-%m-%d}"
    return ""


def _release(store: Store, garbage: Garbage, policy: Policy) -> bool:
    """Check again that a folder may go, and remove a checkpoint's row in the same transaction.

    The job is locked: a retry comes either before, and keeps the checkpoint, or after, and does not find it.
    """
    if garbage.kind is Kind.DATASET:
        return release_leftover(store, garbage.path)
    if garbage.source is None:
        return True  # a trainer that has mapped it keeps it, and it can be unpacked again
    if isinstance(garbage.source, RunFolder):
        with store.reading() as tx:
            return bool(keep_orphans(tx, [garbage.source]))
    if garbage.kind is Kind.UNFINISHED:
        return True  # an attempt that has ended never goes on
    with store.transaction() as tx:
        job = jobs.lock_job(tx, garbage.source.id)
        rows = checkpoints.list_checkpoints(tx, job.id)
        best = any(row.path == str(garbage.path) and row.kind is CheckpointKind.BEST for row in rows)
        ended_before = tx.now - timedelta(days=policy.older_than_days)
        if not _why_not_needed(job, best=best, ended_before=ended_before):
            return False
        checkpoints.remove_checkpoint(tx, job.id, path=str(garbage.path))
        return True


def collect_garbage(
    store: Store, settings: Settings, policy: Policy, *, dry_run: bool, actor: Actor
) -> GarbageView:
    """Delete everything that may go on this host's disk and of the GPUs' history, or only say what would.

    Raises:
        NotAllowed: `actor` is no administrator.
    """
    with store.reading() as tx:
        check_administrator(tx, actor, act="delete what no job needs")
    found = list_garbage(store, settings, policy)
    kept = ["" for _ in found] if dry_run else remove_all(store, settings, found, policy, actor=actor)
    old = remove_old_minutes(store, settings, dry_run=dry_run, actor=actor)
    return describe(found, kept, old_minutes=old, dry_run=dry_run)
