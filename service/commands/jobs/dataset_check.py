"""Checks a dataset before a job is queued for it: in a separate process, and each file only once."""

import json
import os
import subprocess
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from models.catalog.dataset_path import explain_outside, find_dataset_path
from models.catalog.lookup import CatalogError, get_dataset
from service.domain.spec import Spec
from service.errors import SpecError
from service.own_python import run_module
from service.settings import Settings

# Exit status of models.datasets.check.
FINE, BAD_DATASET, CANNOT_READ = 0, 2, 3
MOST_REMEMBERED = 1000  # files


class Checked(TypedDict):
    """What `models.datasets.check` returns."""

    found: str
    train_images: int
    has_validation: bool


def check_dataset_path(dataset: str, settings: Settings) -> None:
    """Refuse a dataset whose name is unknown, or whose path is not allowed.

    Raises:
        SpecError: it is neither in the catalog nor below CNNCTL_DATA_ROOTS.
    """
    try:
        if find_dataset_path(dataset) is None:
            get_dataset(dataset)
        outside = explain_outside(dataset, settings.data_roots, directory=settings.datasets_dir)
    except CatalogError as error:
        raise SpecError(f"data.dataset: {error}") from None
    if outside:
        raise SpecError(f"data.dataset: {outside}")


def explain_worker_path(dataset: str, settings: Settings) -> str:
    """Say that the worker reads a dataset by path on its own host; empty if this may be that host."""
    by_path = find_dataset_path(dataset)
    if not settings.submits_only or by_path is None or by_path.is_own:
        return ""
    return (
        f"The worker reads {dataset} on its own host: the job fails if it is not at this path there. "
        "In the compose stack the path begins with /datasets; see docs/stack.md"
    )


def check_dataset(
    spec: Spec, settings: Settings, *, given: Container[str], report: Callable[[str], object]
) -> str:
    """Refuse a dataset that cannot be trained on, if this machine has it; the trainer checks it again.

    Returns in one line what was found in a dataset by path. If it could not be checked, `report` is called
    with the reason. `given` are the paths of the fields that the person gave.

    Raises:
        SpecError: it is missing, damaged or of the wrong kind, its path is not allowed, its check failed, or
            the spec does not fit it.
    """
    check_dataset_path(spec.data.dataset, settings)
    fraction = spec.data.validation_fraction
    checked = inspect_dataset(spec.data.dataset, settings, fraction=fraction, report=report)
    if checked is None:
        return ""
    dataset, batch = spec.data.dataset, spec.training.batch_size
    most = spec.data.limit_used(checked["train_images"])
    if batch > most:
        raise SpecError(
            f"training.batch_size must be at most the {most} training images of {dataset}. Received: {batch}"
        )
    if checked["has_validation"] and "data.validation_fraction" in given:
        raise SpecError(
            f"data.validation_fraction would have no effect: {dataset} has images for the validation. "
            "Leave it out"
        )
    return checked["found"]


def inspect_dataset(
    name: str, settings: Settings, *, fraction: float, report: Callable[[str], object]
) -> Checked | None:
    """Check a dataset of which this share of the training images is held out.

    Returns the result, made now or before; None if it could not be checked, of which `report` is called.

    Raises:
        SpecError: it is damaged, or is not what it must be.
    """
    by_path = find_dataset_path(name)
    path = by_path.locate(settings.datasets_dir) if by_path else settings.datasets_dir / f"{name}.npz"
    if not _exists(path):
        if by_path is None:
            return None  # bundled, or downloaded by the trainer
        if settings.database:
            report(f"{path} is not on this machine, so it was not checked: the trainer will check it.")
            return None
    known = settings.home_dir / "datasets-checked"
    stamp = f"{_stamp(path)} {fraction}" if path.is_file() else ""
    if stamp and (before := _recall(known, stamp)):
        return before
    done = run_module("models.datasets.check", [name, str(settings.datasets_dir), str(fraction)])
    if done.returncode == BAD_DATASET:
        raise SpecError(f"data.dataset: {done.stdout.strip()}")
    # Without a database server the worker runs on this machine, and lacks the package too.
    if done.returncode == CANNOT_READ and settings.database:
        report(f"{path} was not checked, because a package is missing here: the trainer will check it.")
        return None
    if done.returncode != FINE:
        raise SpecError(f"data.dataset: {path} could not be checked: {_explain(done)}")
    checked: Checked = json.loads(done.stdout)
    if stamp:
        _remember(known, stamp, checked)
    return checked


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise SpecError(f"data.dataset: {path} cannot be read: {error.strerror}") from None


def _explain(done: "subprocess.CompletedProcess[str]") -> str:
    """Why a check failed: its last line of output, and how it ended."""
    code, said = done.returncode, done.stderr.strip().splitlines()
    ended = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
    return f"{said[-1]} ({ended})" if said else f"{ended}, without a message; does this machine lack memory?"


def _stamp(path: Path) -> str:
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


def _recall(known: Path, stamp: str) -> Checked | None:
    """The stored result for the same file; None if there is none, or if an older version stored less."""
    for line in reversed(_read_lines(known)):
        before, _, text = line.partition("\t")
        if before == json.dumps(stamp) and (checked := _parse(text)):
            return checked
    return None


def _remember(known: Path, stamp: str, checked: Checked) -> None:
    with suppress(OSError):  # a full disk: then the next submission checks the file again
        known.parent.mkdir(parents=True, exist_ok=True)
        lines = [*_read_lines(known), f"{json.dumps(stamp)}\t{json.dumps(checked)}"]
        unfinished = known.with_name(f"{known.name}.{os.getpid()}")
        unfinished.write_text("".join(f"{line}\n" for line in lines[-MOST_REMEMBERED:]))
        unfinished.rename(known)


def _read_lines(known: Path) -> Sequence[str]:
    return known.read_text(errors="replace").splitlines() if known.is_file() else []


def _parse(text: str) -> Checked | None:
    """The result in a stored line; None if it was cut short, or if another version wrote it."""
    try:
        checked: Checked = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(checked, dict) and checked.keys() == Checked.__annotations__.keys()
    return checked if whole else None
