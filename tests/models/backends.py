"""Runs a program on one of Keras's backends, in a process of its own."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pytest


def require(backend: str) -> None:
    """Skip the test where a backend is not installed."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install '.[backends]'")


def run_on(backend: str, words: Sequence[str]) -> Mapping[str, Any]:
    """The JSON object that a command prints."""
    environment = {"JAX_PLATFORMS": "cpu", **os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found
