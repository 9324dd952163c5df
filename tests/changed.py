"""Prints the test files of what changed since origin/main: python -m tests.changed, for make fast."""

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Too slow to run for a module that they import among many; they run when they changed themselves.
WHOLE_STACKS = ("tests/acceptance/", "tests/integration/")


def list_changed() -> set[str]:
    """Files, also new ones, that differ from where this branch left origin/main; without one, from HEAD."""
    fork = subprocess.run(
        ["git", "merge-base", "HEAD", "origin/main"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = _list_files("diff", "--name-only", "--relative", fork.stdout.strip() or "HEAD")
    return changed | _list_files("ls-files", "--others", "--exclude-standard")


def select_tests(changed: Iterable[str], root: Path) -> list[str]:
    """The test files under `root` that changed, or import a module that did.

    A changed conftest.py concerns too many to choose: that is make test's work.
    """
    changed = set(changed)
    modules = {path.removesuffix(".py").replace("/", ".") for path in changed if path.endswith(".py")}
    tests = {path.relative_to(root).as_posix(): path for path in root.glob("tests/**/test_*.py")}
    importing = (
        name
        for name, path in tests.items()
        if not name.startswith(WHOLE_STACKS) and modules & _list_imports(path)
    )
    return sorted({*importing, *changed & tests.keys()})


def _list_imports(path: Path) -> set[str]:
    """Names of modules that a file imports; of `from a import b` both a and a.b, since b may be a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _list_files(*words: str) -> set[str]:
    listed = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


if __name__ == "__main__":
    print(*select_tests(list_changed(), ROOT), sep="\n")
