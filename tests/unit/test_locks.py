"""What is installed is what was tried: every version locked with its hashes, the tools that build it, too."""

import re
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
PINNED = re.compile(r"^(?P<name>[a-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;]+)[^\\]*\\$")


def locked(lock: str) -> Mapping[str, str]:
    """Version by name; every requirement must be one version with hashes."""
    versions: dict[str, str] = {}
    for requirement in re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()):
        head, *hashes = requirement.splitlines()
        match = PINNED.match(head)
        assert match, head
        assert hashes, head
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes), head
        versions[f"{match['name']} {head.partition(';')[2]}"] = match["version"]
    return versions


@pytest.mark.parametrize("lock", LOCKS)
def test_every_version_is_locked_with_its_hashes(lock: str) -> None:
    assert len(locked(lock)) > 50


def test_what_builds_and_installs_is_locked() -> None:
    (backend,) = re.findall(
        r'^requires = \["setuptools==(.+)"\]', (ROOT / "pyproject.toml").read_text(), re.M
    )
    for lock in LOCKS:
        assert f"setuptools=={backend} \\\n" in (ROOT / lock).read_text(), lock
    assert re.search(r"^uv==\S+ \\$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", [".ci/install", "Dockerfile"])
def test_nothing_is_installed_beside_the_locks(file: str) -> None:
    for line in (ROOT / file).read_text().splitlines():
        if "pip install" in line and not line.startswith("#"):
            assert "--require-hashes" in line or {"--no-deps", "--no-build-isolation"} <= set(line.split()), (
                line
            )


def test_the_licence_that_is_declared_is_there() -> None:
    assert (ROOT / "LICENSE").read_text().startswith(f"{metadata('cnnctl')['License-Expression']} License\n")
