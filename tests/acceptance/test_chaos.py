"""A short run of `make chaos`: random faults from a fixed seed change nothing of what comes out."""

import sys
from pathlib import Path

import pytest

from tests.chaos.run import run_chaos

FAULTS = 5


@pytest.mark.long
@pytest.mark.parametrize(("servers", "seed"), [(False, 5), (True, 6)])
def test_random_faults_change_nothing_of_what_comes_out(tmp_path: Path, *, servers: bool, seed: int) -> None:
    def say(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201  (pytest shows it)

    assert run_chaos(tmp_path / "home", servers=servers, faults=FAULTS, seed=seed, say=say) == []
