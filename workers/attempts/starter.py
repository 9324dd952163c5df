"""Starts trainers from a warm parent: a process that has imported TensorFlow and touched no device.

A child of it takes its first step about seven seconds sooner than a fresh Python would.
"""

import multiprocessing
import os
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from models.catalog.lookup import ARCHITECTURES, DATASETS
from workers.train.entry import run_trainer

# Imports only: an operation, or a look at the devices, would start threads and take hold of GPUs.
PRELOADED = [
    "tensorflow",
    "keras",
    "workers.train.trainer",
    *(network.function.partition(":")[0] for network in ARCHITECTURES.values()),
    *(dataset.function.partition(":")[0] for dataset in DATASETS.values()),
]
# Set before the warm parent starts, since TensorFlow and NumPy read them when they are imported.
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "OPENBLAS_NUM_THREADS": "1",  # no threads in the parent: a fork copies only the one that calls it
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
}


class Starter:
    """Starts trainers, warm (`forkserver`) or each in a fresh Python (`spawn`)."""

    def __init__(self, start_method: str) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._context = multiprocessing.get_context(start_method)
        if start_method == "forkserver":
            self._context.set_forkserver_preload(PRELOADED)

    def warm_up(self) -> None:
        """Make the warm parent import TensorFlow now and not at the first job; if it dies, that one will."""
        process: BaseProcess = self._context.Process(target=_nothing)  # type: ignore[attr-defined]
        with suppress(EOFError, OSError):
            process.start()
            process.join()

    def start(self, run_dir: Path) -> BaseProcess:
        """Start the trainer of a run folder.

        Raises:
            OSError: the host has no process for it, or the warm parent died in this moment; the next start
                makes a new one.
        """
        process: BaseProcess = self._context.Process(  # type: ignore[attr-defined]
            target=run_trainer, args=(str(run_dir),), name=f"cnnctl-trainer-{run_dir.parent.name}"
        )
        try:
            process.start()
        except EOFError:
            raise OSError("the warm parent of trainers died") from None
        return process


def _nothing() -> None:
    """A child that ends at once: by then its parent is warm."""
