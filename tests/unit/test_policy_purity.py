"""The policy sees no clock, no randomness and no environment: the same snapshot gives the same plan."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import ROOT

POLICY = ROOT / "service" / "scheduler" / "policy"
IMPURE = {
    "asyncio",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "monotonic", "perf_counter", "time_ns"}


def find_impure(source: str) -> Iterator[str]:
    """What a module imports or reads that another call need not answer alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in IMPURE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in IMPURE:
            yield str(node.module)
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield node.attr
        elif isinstance(node, ast.Name) and node.id in {"hash", "open", "input"}:
            yield node.id


@pytest.mark.parametrize("path", sorted(POLICY.glob("*.py")), ids=lambda path: path.name)
def test_a_module_of_the_policy_is_pure(path: Path) -> None:
    assert list(find_impure(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import random",
        "import os.path",
        "datetime.now()",
        "date.today()",
        "hash(x)",
    ],
)
def test_a_clock_or_a_chance_would_be_found(source: str) -> None:
    assert list(find_impure(source))
