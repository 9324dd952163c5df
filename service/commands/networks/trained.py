"""Finds the network that a job has trained, and uses it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnctl.files import BEST_FILE
from cnnctl.views.codec import from_json
from cnnctl.views.networks import DetectionView, EvaluationView, PredictionView
from service.commands.networks.library import ask_library
from service.domain.jobs import JobId
from service.domain.run_folder import job_folder, path_within
from service.domain.states import JobState
from service.errors import JobConflict
from service.settings import Settings
from service.store.jobs import attempts, jobs
from service.store.transaction import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The files of a job's trained network, and the operations on it.

    Each operation raises what `ask_library` raises: SpecError if the library refuses it.
    """

    folder: Path
    file: str
    dataset: str
    longest_seconds: float | None = None
    """After which an operation is ended."""

    def predict(self, images: Sequence[Path], *, top: int) -> Sequence[PredictionView]:
        """Predict the `top` likeliest classes of images; the views name the images as they were given."""
        found = self._ask("predict", *(str(image.absolute()) for image in images), "--top", str(top))
        return [
            replace(from_json(PredictionView, row), image=str(image))
            for row, image in zip(found, images, strict=True)
        ]

    def evaluate(self, dataset: str, *, datasets_dir: Path, ten_crop: bool) -> EvaluationView:
        """Score the network on the test images of a dataset, given by name or by absolute path."""
        words = ["--dataset", dataset, "--datasets-dir", str(datasets_dir)]
        return from_json(EvaluationView, self._ask("evaluate", *words, *(["--ten-crop"] if ten_crop else [])))

    def detect(
        self,
        image: Path,
        *,
        drawn: Path,
        threshold: float,
        iou: float,
        scales: Sequence[float],
        across_classes: bool,
    ) -> DetectionView:
        """Find objects in a larger image, and draw their boxes into the PNG `drawn`."""
        words = ["--output", str(drawn), "--threshold", str(threshold), "--iou", str(iou)]
        words += ["--scales", *map(str, scales)] if scales else []
        words += ["--across-classes"] if across_classes else []
        found = from_json(DetectionView, self._ask("detect", str(image.absolute()), *words))
        return replace(found, image=str(image))

    def export(self, kind: str, output: Path) -> None:
        """Write the network for other programs."""
        self._ask("export", "--format", kind, "--output", str(output))

    def _ask(self, act: str, *words: str) -> Any:
        told = [act, str(self.folder), "--file", self.file, *words]
        return ask_library("inference.acts", told, longest_seconds=self.longest_seconds)


def get_trained(store: Store, settings: Settings, job_id: JobId) -> Trained:
    """Find the network of the best epoch, or else the final one.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has not succeeded, or its files are not on this machine in CNNCTL_RUNS_DIR.
    """
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
        tries = attempts.list_attempts(tx, job_id)
    if job.state is not JobState.SUCCEEDED or not tries or not tries[-1].model_path:
        raise JobConflict(
            f"Job {job_id} has no trained network: it is {job.state.value}. Only succeeded jobs have one. "
            f"See: cnnctl status {job_id}"
        )
    final = Path(tries[-1].model_path)
    best = final.with_name(BEST_FILE)
    found = best if os.access(best, os.R_OK) else final
    of_job = job_folder(settings.runs_dir, job_id)
    where = (
        f"It lies on {tries[-1].host_name}: run the command there (with the compose stack in its container: "
        "docs/stack.md, Trained networks)"
    )
    if path_within(found, of_job) != f"{tries[-1].number}/{found.name}":
        raise JobConflict(
            f"The network of job {job_id} should be at {found}, which does not lie in {of_job}. {where}, "
            "or set CNNCTL_RUNS_DIR to the folder in which the worker makes its run folders"
        )
    if not os.access(found, os.R_OK):
        raise JobConflict(
            f"The network of job {job_id} should be at {final}, which is not on this machine, or not for you "
            f"to read. {where}. The group that may read is the worker's CNNCTL_GROUP"
        )
    return Trained(folder=final.parent, file=found.name, dataset=job.dataset)
