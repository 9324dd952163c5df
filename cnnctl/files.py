"""The files of a job that people download, by what they are called, and the digests of files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cnnctl.errors import FileNotThere
from cnnctl.views.jobs import JobFile

BEST_FILE = "best.keras"
FINAL_FILE = "model.keras"
ABOUT_FILE = "network.json"  # what a network's file does not say
PREDICTIONS_FILE = "predictions.npz"
NAMES = {
    "best": BEST_FILE,
    "final": FINAL_FILE,
    "predictions": PREDICTIONS_FILE,
    "log": "trainer.log",
    "spec": "spec.json",
}
WHAT = (*NAMES, "checkpoint")


def choose_file(job: int, files: Sequence[JobFile], what: str) -> JobFile:
    """The file of a job that one of WHAT, or a name, means.

    The best network is the final one where there is no better, and a checkpoint the newest one's tensors.

    Raises:
        FileNotThere: there is none; the message names those that there are.
    """
    by_name = {file.name: file for file in files}
    name = NAMES.get(what, what)
    if what == "best" and name not in by_name:
        name = FINAL_FILE
    checkpoints = [one for one in by_name if one.endswith(".safetensors")]
    if what == "checkpoint" and checkpoints:
        name = checkpoints[-1]
    if name not in by_name:
        there_is = ", ".join(by_name) or "none"
        raise FileNotThere(f"Job {job} has no {what} that can be downloaded. It has: {there_is}")
    return by_name[name]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
