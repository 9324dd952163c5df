"""Reads what a trainer needs, and makes its run folder."""

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from service.domain import run_folder as files
from service.domain.endings import Ending
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt
from service.domain.spec import read_spec
from service.domain.states import Cause, Outcome
from service.domain.stored_spec import MADE_BY_NEWER
from service.errors import NewerSpec
from service.settings import Settings
from service.store.fleet import leases
from service.store.jobs import checkpoints, jobs
from service.store.transaction import Store
from workers.attempts.outages import retry_until_available
from workers.train.process.launch import Launch

log = structlog.get_logger()


class UnwritableFolder(OSError):
    """A run folder cannot be made or written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSetup:
    """What to train, on which GPUs, and from where."""

    spec: str
    """The stored text of the job's spec."""
    gpus: Sequence[Gpu]
    """The leased GPUs of this host."""
    resume_from: tuple[str, ...]
    """Checkpoint folders to continue from, newest first."""


def read_setup(store: Store, attempt: Attempt, *, host_name: str) -> TrainerSetup:
    """Read the setup of this host's trainer from SQL, as soon as the database can be reached."""
    return retry_until_available(lambda: _read_setup(store, attempt, host_name=host_name))


def refuse_newer(spec: str, *, host_name: str) -> Ending | None:
    """How the attempt ends if this cnnctl does not know the whole spec, else None.

    The job stays in the queue until the scheduler can give it to another worker of the host.
    """
    try:
        read_spec(spec)
    except NewerSpec as error:
        reason = f"{MADE_BY_NEWER} than runs on {host_name} ({error}): upgrade cnnctl there"
        return Ending(outcome=Outcome.INTERRUPTED, reason=reason)
    return None


def make_run_folder(
    folder: Path,
    setup: TrainerSetup,
    settings: Settings,
    *,
    threads_per_gpu: int,
    cluster: tuple[str, ...] = (),
    rank: int = 0,
) -> None:
    """Make the folder with the spec and the launch file in it.

    Raises:
        UnwritableFolder: the folder cannot be written, or a symbolic link leads out of CNNCTL_RUNS_DIR.
    """
    if not files.path_within(folder, files.job_folder_of(folder)):
        raise UnwritableFolder(errno.EPERM, "a symbolic link leads somewhere else")
    try:
        _move_aside(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / files.SPEC_FILE).write_text(setup.spec)
        make_launch(setup, settings, threads_per_gpu=threads_per_gpu, cluster=cluster, rank=rank).save(folder)
    except OSError as error:
        raise UnwritableFolder(error.errno, error.strerror) from error


def is_removed(folder: Path) -> bool:
    """Whether a run folder was removed or renamed; False if the disk does not respond."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def end_of_removed(folder: Path) -> Ending:
    """How an attempt ends if its run folder or its event log was removed."""
    what = f"its run folder {folder}" if is_removed(folder) else f"the event log in {folder}"
    reason = f"{what} was removed during training; waits to continue from a checkpoint that is left"
    return Ending(outcome=Outcome.LOST, cause=Cause.KILLED, reason=reason)


def make_launch(
    setup: TrainerSetup, settings: Settings, *, threads_per_gpu: int, cluster: tuple[str, ...], rank: int
) -> Launch:
    """Make the launch file's content for a trainer of this host."""
    return Launch(
        gpu_uuids=tuple(gpu.uuid for gpu in setup.gpus),
        simulated=all(gpu.simulated for gpu in setup.gpus),
        threads=threads_per_gpu * len(setup.gpus),
        datasets_dir=str(settings.datasets_dir),
        data_roots=tuple(map(str, settings.data_roots)),
        resume_from=setup.resume_from,
        lease_seconds=settings.lease_seconds,
        cluster=cluster,
        rank=rank,
        checkpoint_seconds=settings.checkpoint_seconds,
        disk_reserve_percent=settings.disk_reserve_percent,
        drivers=tuple(sorted({gpu.driver for gpu in setup.gpus if gpu.driver})),
    )


def _read_setup(store: Store, attempt: Attempt, *, host_name: str) -> TrainerSetup:
    with store.reading() as tx:
        known = checkpoints.list_checkpoints(tx, attempt.job_id)
        return TrainerSetup(
            spec=jobs.get_job(tx, attempt.job_id).spec,
            gpus=leases.list_leased_gpus(tx, attempt.id, host_name=host_name),
            resume_from=tuple(checkpoint.path for checkpoint in known),
        )


def _move_aside(folder: Path) -> None:
    """Move old content out of an attempt's folder: a new database counts jobs from 1 again."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    aside = folder.with_name(files.found_name(folder.name, at_ns=time.time_ns()))
    folder.rename(aside)
    log.warning("attempt", action="old_run_folder_moved", folder=str(folder), to=str(aside))
