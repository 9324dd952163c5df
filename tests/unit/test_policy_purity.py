"""The policy sees no clock, no randomness and no environment: the same snapshot gives the same plan."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import ROOT

POLICY = ROOT / "service" / "scheduler" / "policy"
# All that it needs; whatever else is imported has to be thought of here first.
PURE = ("bisect", "collections", "dataclasses", "datetime", "enum", "itertools", "math", "operator", "typing")
OURS = ("service.domain", "service.scheduler.policy")
CLOCKS = {"now", "utcnow", "today", "fromtimestamp"}
IMPURE_CALLS = {"hash", "id", "open", "input", "globals"}  # they answer otherwise in another process


def find_impure(source: str) -> Iterator[str]:
    """What a module imports or reads that another call need not answer alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if not is_pure(alias.name))
        elif isinstance(node, ast.ImportFrom) and not is_pure(str(node.module)):
            yield str(node.module)
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield node.func.id


def is_pure(module: str) -> bool:
    return module.partition(".")[0] in PURE or module.startswith(OURS)


@pytest.mark.parametrize("path", sorted(POLICY.rglob("*.py")), ids=lambda path: path.name)
def test_a_module_of_the_policy_is_pure(path: Path) -> None:
    assert list(find_impure(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        *("import time", "from random import random", "import os.path", "import numpy", "import tempfile"),
        *("from service.process import find_start", "from functools import cache", "import importlib"),
        *("datetime.now()", "date.today()", "hash(x)", "id(x)"),
    ],
)
def test_a_clock_or_a_chance_would_be_found(source: str) -> None:
    assert list(find_impure(source))
