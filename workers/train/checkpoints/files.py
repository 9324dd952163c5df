"""Checkpoints on disk: a folder with the tensors and a manifest, written whole or not at all."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from cnnctl.files import file_digest
from service.digest import is_sealed, seal
from service.domain.run_folder import (
    MANIFEST_DIGEST,
    MANIFEST_FILE,
    TENSORS_FILE,
    checkpoint_name,
    unfinished_name,
)
from service.domain.stored import read_stored

FORMAT = 2  # raised when an older cnnctl would misread a checkpoint

Array = npt.NDArray[np.generic]


class DamagedCheckpoint(Exception):
    """A checkpoint differs from its manifest; the message names the file and the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where training stands: everything that its future depends on, besides the variables."""

    step: int
    """Steps since the start of the job."""
    epoch: int
    """The current epoch, from 1."""
    step_in_epoch: int
    """Steps of this epoch; a finished epoch is written as step 0 of the next."""
    epoch_sums: tuple[float, ...]
    """Sums of the steps' reports over the epoch."""
    point_sums: tuple[float, ...]
    """Sums of the steps' reports since the last point of the batch curves."""
    epoch_state: Mapping[str, float | None]
    """The state of the decisions between epochs, see `workers.train.schedule.EpochState`."""
    trained_seconds: float
    """Training time so far, over all attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a run in host memory."""

    position: Position
    """Where training stands."""
    network: Sequence[Array]
    """A copy of every variable of the network, in the model's order, each in its own shape."""
    optimizer: Sequence[Array]
    """A copy of every variable of the optimizer, in its order."""
    environment: Mapping[str, object]
    """What can change the last bit of a result and is not in the spec, by name."""
    spec_digest: str
    """SHA-256 in hex of what the spec says about training: another spec cannot continue from here."""
    best: bool
    """Whether the epoch that has just ended is the best so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A checkpoint that is safely on disk."""

    path: Path
    """Its folder."""
    bytes: int
    """The size of its tensors' file."""
    digest: str
    """SHA-256 of that file, in hex."""


def write_checkpoint(folder: Path, snapshot: Snapshot) -> Written:
    """Write a snapshot into `folder/step-…`: temporary name, fsync, rename.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints stay.
    """
    step = snapshot.position.step
    path = folder / checkpoint_name(step)
    temporary = folder / unfinished_name(step, pid=os.getpid())
    shutil.rmtree(temporary, ignore_errors=True)
    folder.mkdir(exist_ok=True)  # without its parents: a removed run folder is not created again
    temporary.mkdir()
    try:
        save_file(_tensors(snapshot), temporary / TENSORS_FILE)
        digest = file_digest(temporary / TENSORS_FILE)
        write_manifest(temporary, _manifest(snapshot, digest))
        for written in (temporary / TENSORS_FILE, temporary / MANIFEST_FILE, temporary):
            _fsync(written)
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _fsync(folder)
    return Written(path=path, bytes=(path / TENSORS_FILE).stat().st_size, digest=digest)


def read_checkpoint(path: Path) -> Snapshot:
    """Read a checkpoint folder back.

    Raises:
        DamagedCheckpoint: a file is missing, cannot be read, or does not have the digest in the manifest.
    """
    try:
        manifest = read_manifest(path)
        digest = file_digest(path / TENSORS_FILE)
        if digest != manifest[MANIFEST_DIGEST]:
            raise DamagedCheckpoint(f"{path / TENSORS_FILE} has SHA-256 {digest[:12]}…, not the manifest's")
        tensors = load_file(path / TENSORS_FILE)
        position = manifest["position"]
        sums = {name: tuple(position[name]) for name in ("epoch_sums", "point_sums")}
        return Snapshot(
            position=read_stored(Position, {**position, **sums}),
            network=_listed(tensors, "network"),
            optimizer=_listed(tensors, "optimizer"),
            environment=manifest["environment"],
            spec_digest=manifest["spec_digest"],
            best=manifest["best"],
        )
    except DamagedCheckpoint:
        raise
    except Exception as error:  # any error that a damaged file makes a parser raise
        raise DamagedCheckpoint(f"{path} cannot be read: {error}") from error


def write_manifest(path: Path, values: Mapping[str, object]) -> None:
    """Write a checkpoint's manifest with its own digest."""
    (path / MANIFEST_FILE).write_text(json.dumps(seal(values), indent=1, allow_nan=False))


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a checkpoint's manifest.

    Raises:
        DamagedCheckpoint: it was changed after it was written, or a newer cnnctl wrote it.
    """
    values: dict[str, Any] = json.loads((path / MANIFEST_FILE).read_text())
    if not is_sealed(values):
        raise DamagedCheckpoint(f"{path / MANIFEST_FILE} does not match its own SHA-256")
    if values.get("format", FORMAT) > FORMAT:
        raise DamagedCheckpoint(f"{path} was written by a newer cnnctl (format {values['format']})")
    return values


def _manifest(snapshot: Snapshot, digest: str) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        MANIFEST_DIGEST: digest,
        "position": asdict(snapshot.position),
        "environment": snapshot.environment,
        "spec_digest": snapshot.spec_digest,
        "best": snapshot.best,
    }


def _tensors(snapshot: Snapshot) -> dict[str, Array]:
    named = {f"network/{index:06d}": array for index, array in enumerate(snapshot.network)}
    return named | {f"optimizer/{index:06d}": array for index, array in enumerate(snapshot.optimizer)}


def _listed(tensors: Mapping[str, Array], part: str) -> list[Array]:
    return [tensors[name] for name in sorted(tensors) if name.startswith(f"{part}/")]


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
