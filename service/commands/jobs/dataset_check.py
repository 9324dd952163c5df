"""Looks into a dataset before a job is queued for it: once a file, in a process of its own."""

import subprocess
import sys
from pathlib import Path

from models.catalog.dataset_path import find_outside, find_place
from service.domain.spec import Spec
from service.errors import SpecError
from service.settings import Settings

BAD_DATASET = 2  # exit status of models.datasets.check


def check_place(dataset: str, settings: Settings) -> None:
    """Refuse a dataset by place that lies where none may.

    Raises:
        SpecError: it does not lie in CNNCTL_DATA_ROOTS.
    """
    if outside := find_outside(dataset, settings.data_roots):
        raise SpecError(f"data.dataset: {outside}")


def check_dataset(spec: Spec, settings: Settings) -> None:
    """Refuse a dataset that cannot be trained on, where this machine has it; the trainer checks it again.

    Raises:
        SpecError: it is not there, lies where it may not, is damaged or is not what it must be.
    """
    check_place(spec.data.dataset, settings)
    place = find_place(spec.data.dataset)
    path = place.path if place else settings.datasets_dir / f"{spec.data.dataset}.npz"
    if not path.exists() and not (place and not settings.database):
        return  # bundled, or downloaded by the trainer, or on the workers' machines only
    known = settings.home_dir / "datasets-checked"
    stamp = _stamp(path) if path.is_file() else ""
    if stamp and known.is_file() and stamp in known.read_text().splitlines():
        return
    words = [sys.executable, "-m", "models.datasets.check", spec.data.dataset, str(settings.datasets_dir)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == BAD_DATASET:
        raise SpecError(f"data.dataset: {done.stderr.strip()}")
    if stamp and done.returncode == 0:  # anything else: the plain install cannot read arrays
        _remember(known, stamp)


def _stamp(path: Path) -> str:
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


def _remember(known: Path, stamp: str) -> None:
    known.parent.mkdir(parents=True, exist_ok=True)
    with known.open("a") as file:
        file.write(stamp + "\n")
