"""Looks into a dataset before a job is queued for it: once a file, in a process of its own."""

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
    """Refuse a dataset whose name is unknown, or that lies where none may.

    Raises:
        SpecError: it is neither in the catalog nor in CNNCTL_DATA_ROOTS.
    """
    try:
        if find_dataset_path(dataset) is None:
            get_dataset(dataset)
        outside = explain_outside(dataset, settings.data_roots)
    except CatalogError as error:
        raise SpecError(f"data.dataset: {error}") from None
    if outside:
        raise SpecError(f"data.dataset: {outside}")


def explain_worker_path(dataset: str, settings: Settings) -> str:
    """What to say of a dataset by place which this host may be the only one to have; else empty."""
    if not settings.submits_only or find_dataset_path(dataset) is None:
        return ""
    return (
        f"{dataset} is read by the worker, at this path of its own: where it is not there, the job fails, "
        "whatever lies here. In the compose stack the path begins with /datasets; see docs/stack.md"
    )


def check_dataset(
    spec: Spec, settings: Settings, *, given: Container[str], report: Callable[[str], object]
) -> str:
    """Refuse a dataset that cannot be trained on, where this machine has it; the trainer checks it again.

    Returns what was found in one by place, in one line. Where nobody could check it, `report` is called with
    what the person has to know. `given` are the paths of the fields that the person gave.

    Raises:
        SpecError: it is not there, lies where it may not, is damaged, is not what it must be, its check
            failed, or the spec does not fit it.
    """
    checked = _inspect(spec, settings, report=report)
    if checked is None:
        return ""
    dataset, batch, most = spec.data.dataset, spec.training.batch_size, checked["train_images"]
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


def _inspect(spec: Spec, settings: Settings, *, report: Callable[[str], object]) -> Checked | None:
    """What a check of the dataset found, now or before; None where nobody could look into it."""
    name = spec.data.dataset
    check_dataset_path(name, settings)
    place = find_dataset_path(name)
    path = place.path if place else settings.datasets_dir / f"{name}.npz"
    if not _exists(path):
        if place is None:
            return None  # bundled, or downloaded by the trainer
        if settings.database:
            report(f"{path} is not on this machine, so nobody has looked into it: the trainer will.")
            return None
    known = settings.home_dir / "datasets-checked"
    fraction = str(spec.data.validation_fraction)
    stamp = f"{_stamp(path)} {fraction}" if path.is_file() else ""
    if stamp and (before := _recall(known, stamp)):
        return before
    done = run_module("models.datasets.check", [name, str(settings.datasets_dir), fraction])
    if done.returncode == BAD_DATASET:
        raise SpecError(f"data.dataset: {done.stdout.strip()}")
    # Without a server the worker is this machine's, and lacks the package, too.
    if done.returncode == CANNOT_READ and settings.database:
        report(f"{path} was not looked into, since a package is missing here: the trainer will.")
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
        raise SpecError(f"data.dataset: {path} cannot be looked at: {error.strerror}") from None


def _explain(done: "subprocess.CompletedProcess[str]") -> str:
    """Why a check ended as it should not: the last line that it said, and how it ended."""
    code, said = done.returncode, done.stderr.strip().splitlines()
    ended = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
    return f"{said[-1]} ({ended})" if said else f"{ended}, without a word; does this machine lack memory?"


def _stamp(path: Path) -> str:
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


def _recall(known: Path, stamp: str) -> Checked | None:
    """What was found in the same file before; None of an unknown one, or where an older version kept less."""
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
    """What was kept in a line; None of one that was cut short, or that another version wrote."""
    try:
        checked: Checked = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(checked, dict) and checked.keys() == Checked.__annotations__.keys()
    return checked if whole else None
