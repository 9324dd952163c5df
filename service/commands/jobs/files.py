"""The files of a job that people download: network, predictions, spec, log, checkpoints, with digests.

A trainer could put a link to any file where its own belong. So a file is opened first, and given out only if
what was opened lies in the job's folder.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from cnnctl.files import ABOUT_FILE, BEST_FILE, PREDICTIONS_FILE
from cnnctl.views.jobs import JobFile
from service.domain.jobs import JobId
from service.domain.run_folder import (
    LOG_FILE,
    MANIFEST_FILE,
    SPEC_FILE,
    TENSORS_FILE,
    job_folder,
    path_within,
)
from service.domain.states import FINISHED
from service.errors import FileNotThere
from service.settings import Settings
from service.store.jobs import attempts, checkpoints, jobs
from service.store.transaction import Store

PART_BYTES = 1024 * 1024
MOST_REMEMBERED = 10_000  # digests
MOST_DIGESTED_BYTES = 16 * 1024**3  # far more than a network has; a trainer may make any file


def list_files(store: Store, settings: Settings, job_id: JobId) -> Sequence[JobFile]:
    """The files of a job that can be read here.

    Raises:
        JobNotFound: there is no such job.
    """
    return list(_describe_all(store, settings, job_id))


def open_file(store: Store, settings: Settings, job_id: JobId, name: str) -> BinaryIO:
    """Open one of a job's files for reading.

    Raises:
        JobNotFound: there is no such job.
        FileNotThere: it has no such file, or it cannot be read here; the message names those that can.
    """
    places, _ = _find_places(store, job_id)
    file = open_if_ours(settings, job_id, places[name]) if name in places else None
    if file is None:
        names = ", ".join(name for name, _ in _open_all(settings, job_id, places)) or "none"
        raise FileNotThere(f"Job {job_id} has no file {name!r} that can be read here. It has: {names}")
    return file


def _describe_all(store: Store, settings: Settings, job_id: JobId) -> Iterator[JobFile]:
    places, ended = _find_places(store, job_id)
    for name, file in _open_all(settings, job_id, places):
        grows = name == LOG_FILE and not ended
        digest = None if grows else _find_digest(file)
        yield JobFile(name=name, bytes=os.fstat(file.fileno()).st_size, digest=digest)


def _open_all(
    settings: Settings, job_id: JobId, places: Mapping[str, Path]
) -> Iterator[tuple[str, BinaryIO]]:
    """Those of the files that can be read here, each open until the next is asked for."""
    for name, path in places.items():
        file = open_if_ours(settings, job_id, path)
        if file is not None:
            with closing(file):
                yield name, file


def _find_places(store: Store, job_id: JobId) -> tuple[Mapping[str, Path], bool]:
    """Where the files of a job should be, by name, and whether it has ended."""
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
        tries = attempts.list_attempts(tx, job_id)
        kept = checkpoints.list_checkpoints(tx, job_id)
    if not tries:
        return {}, job.state in FINISHED
    newest = tries[-1]
    run_dir = Path(newest.run_dir)
    places = {}
    if newest.model_path:
        final = Path(newest.model_path)
        places = {
            name: final.with_name(name) for name in (BEST_FILE, final.name, ABOUT_FILE, PREDICTIONS_FILE)
        }
    places |= {SPEC_FILE: run_dir / SPEC_FILE, LOG_FILE: run_dir / LOG_FILE}
    for one in kept:
        for file in (TENSORS_FILE, MANIFEST_FILE):
            places[f"checkpoint-{one.step}.{file}"] = Path(one.path) / file
    return places, job.state in FINISHED


def open_if_ours(settings: Settings, job_id: JobId, path: Path) -> BinaryIO | None:
    """Open a regular file of the job's folder; None where there is none, or it is not for us to read."""
    with suppress(OSError, ValueError):
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        real = f"/proc/self/fd/{file.fileno()}"
        if Path(real).is_file() and path_within(real, job_folder(settings.runs_dir, job_id)):
            return file
        file.close()
    return None


_digests: dict[tuple[int, int, int, int], str] = {}  # a large file takes seconds


def _find_digest(file: BinaryIO) -> str | None:
    """SHA-256 of a file's bytes, hex, computed once for each state of the file; None: it is too large."""
    found = os.fstat(file.fileno())
    if found.st_size > MOST_DIGESTED_BYTES:
        return None
    key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    if key not in _digests:
        digest, left = hashlib.sha256(), found.st_size  # no further: it may grow as fast as it is read
        while part := file.read(min(PART_BYTES, left)):
            digest.update(part)
            left -= len(part)
        if len(_digests) >= MOST_REMEMBERED:
            _digests.pop(next(iter(_digests)), None)
        _digests[key] = digest.hexdigest()
    return _digests[key]
