"""How this service starts Python for parts of its own: with its own modules, wherever somebody types.

Python looks for modules in the current folder and in PYTHONPATH first, and people have a `models` or a
`numpy.py` there: it would be run in the place of ours, by the worker's user too.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.settings import Settings

FOLDER = "/"  # where only root puts files
OURS = Path(__file__).resolve().parents[1]
# Whatever a person's own programs use; what their keras.json says is set back by `models.keras_defaults`.
KERAS: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}


def own_words(module: str, *words: str) -> list[str]:
    """The command that runs a module of ours; start it in FOLDER, with `own_environment`."""
    return [sys.executable, "-m", module, *words]


def own_environment(settings: Settings | None = None) -> dict[str, str]:
    """This environment for a process in another folder: no foreign modules, and our backend of Keras."""
    given = {**os.environ, **KERAS, **(settings.environment() if settings else {})}
    paths = [path for path in given.pop("PYTHONPATH", "").split(os.pathsep) if path and _is_ours(path)]
    return {**given, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def run_module(module: str, words: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a module of ours to its end, and catch what it prints, bytes of file names as surrogates."""
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
