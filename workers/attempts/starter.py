"""Starts trainers from a warm parent: a process that has imported TensorFlow and used no device.

A child of it takes its first step about seven seconds sooner than a fresh Python would.
"""

import importlib
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path

from models.catalog.lookup import ARCHITECTURES, DATASETS
from service.errors import TrainersCannotStart
from service.own_python import KERAS
from workers.train.entry import run_trainer

# Imports only: an operation, or a query of the devices, would start threads and occupy GPUs.
PRELOADED = [
    "tensorflow",
    "keras",
    "workers.train.trainer",
    *(network.function.partition(":")[0] for network in ARCHITECTURES.values()),
    *(dataset.function.partition(":")[0] for dataset in DATASETS.values()),
]
# Set before the warm parent starts: TensorFlow and NumPy read them at import.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # no threads in the parent: a fork copies only the calling thread
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
}
# A socket's path has at most 107 bytes; Python appends /pymp-XXXXXXXX/listener-XXXXXXXX to its folder.
LONGEST_FOLDER = 107 - 32
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


class Starter:
    """Starts trainers, warm (`forkserver`) or each in a fresh Python (`spawn`).

    Raises:
        TrainersCannotStart: no folder is short enough for the warm parent's socket.
    """

    def __init__(self, start_method: str) -> None:
        os.environ.update(KERAS)
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._context = multiprocessing.get_context(start_method)
        if start_method == "forkserver":
            _choose_socket_folder()
            self._context.set_forkserver_preload(PRELOADED)

    def warm_up(self) -> None:
        """Make the warm parent import TensorFlow now, not at the first job.

        Raises:
            TrainersCannotStart: the import failed; the worker's log has the output.
        """
        try:
            try:
                code = self._try_out()
            except (
                EOFError,
                ConnectionError,
            ):  # it died, because it was killed or memory ran out: try once more
                code = self._try_out()
        except (EOFError, OSError) as error:
            why = str(error) or "it died"
        else:
            if code == 0:
                return
            why = f"one of its processes ended with exit status {code}"
        raise TrainersCannotStart(
            f"The warm parent of the trainers does not start: {why}. Its output is above this line. "
            "See: cnnctl doctor"
        )

    def _try_out(self) -> int | None:
        process: BaseProcess = self._context.Process(target=_import_all, args=(PRELOADED,))  # type: ignore[attr-defined]
        process.start()
        process.join()
        return process.exitcode

    def start(self, run_dir: Path) -> BaseProcess:
        """Start the trainer of a run folder.

        Raises:
            OSError: the host can start no process, or the warm parent has just died; the next start makes
                a new parent.
        """
        process: BaseProcess = self._context.Process(  # type: ignore[attr-defined]
            target=run_trainer, args=(str(run_dir),), name=f"cnnctl-trainer-{run_dir.parent.name}"
        )
        try:
            process.start()
        except EOFError:
            raise OSError("the warm parent of the trainers died") from None
        return process


def _import_all(modules: Sequence[str]) -> None:
    """Import all modules in a child of the warm parent, which itself hides a failed import."""
    for name in modules:
        importlib.import_module(name)


def _choose_socket_folder() -> None:
    """Make Python put its sockets into a folder whose path is short enough, whatever TMPDIR is."""
    asked = tempfile.gettempdir()
    folders = [asked] if len(os.fsencode(asked)) <= LONGEST_FOLDER else SHORT_FOLDERS
    try:
        for folder in folders:
            if os.access(folder, os.W_OK | os.X_OK):
                tempfile.tempdir = folder
                get_temp_dir()  # Python creates it once per process and keeps it
                return
    finally:
        tempfile.tempdir = asked
    raise TrainersCannotStart(
        f"TMPDIR is too long for the path of a socket: {asked} has more than {LONGEST_FOLDER} bytes, and "
        f"none of {', '.join(SHORT_FOLDERS)} is writable. Set TMPDIR to a shorter folder"
    )
