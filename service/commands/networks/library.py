"""Runs the library of networks in a separate process: the control plane never imports Keras."""

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from typing import Any

from service.errors import CnnctlError, MissingExtra, SpecError
from service.own_python import run_module
from service.private_files import close_umask

REFUSED = 2


def ask_library(module: str, words: Sequence[str], *, longest_seconds: float | None = None) -> Any:
    """Run `python -m models.MODULE WORDS` and read what it prints: JSON, or why it refused.

    Raises:
        MissingExtra: Keras is not installed.
        SpecError: the library refused; the message is its own.
        CnnctlError: it failed otherwise, or took too long and was killed.
    """
    if importlib.util.find_spec("keras") is None:
        raise MissingExtra("This needs Keras. Install it with: pip install 'cnnctl[cpu]'")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    # The files that it writes are the person's.
    try:
        done = run_module(f"models.{module}", words, env=quiet, umask=close_umask(), timeout=longest_seconds)
    except subprocess.TimeoutExpired:
        raise CnnctlError(f"It took longer than {longest_seconds:g} s, and was ended") from None
    if done.returncode == REFUSED and done.stdout:
        raise SpecError(done.stdout.strip())
    if done.returncode:
        raise CnnctlError(f"models.{module} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout)
