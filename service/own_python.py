"""Starts Python for parts of this service with the service's own modules, in any folder.

Python searches the current folder and PYTHONPATH first. People have a `models` folder or a `numpy.py` there,
which would run instead of the service's modules, even as the worker's user.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.settings import Settings

FOLDER = "/"  # only root can put files there
OURS = Path(__file__).resolve().parents[1]
# Overrides a person's own choice; `models.keras_defaults` resets what their keras.json says.
KERAS: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}


def own_words(module: str, *words: str) -> list[str]:
    """The command that runs a module of this service; start it in FOLDER, with `own_environment`."""
    return [sys.executable, "-m", module, *words]


def own_environment(settings: Settings | None = None) -> dict[str, str]:
    """This environment for a process in another folder: no foreign modules, the service's Keras backend."""
    given = {**os.environ, **KERAS, **(settings.environment() if settings else {})}
    paths = [path for path in given.pop("PYTHONPATH", "").split(os.pathsep) if path and _is_ours(path)]
    return {**given, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def run_module(module: str, words: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a module of this service to its end; return its output, bytes of file names as surrogates."""
    # The bytes of a file's name come back as they are.
    names = {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    environment = {**own_environment(), **names, **options.pop("env", {})}
    return subprocess.run(
        own_words(module, *words),
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        **options,
    )


def _is_ours(path: str) -> bool:
    return Path(path).resolve().is_relative_to(OURS)
