"""Event logs that are closed at the end of a test; a trainer's closes with its process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.train.reporter import Reporter


@pytest.fixture
def open_reporter() -> Iterator[Callable[[Path], Reporter]]:
    opened: list[Reporter] = []

    def open_one(path: Path) -> Reporter:
        opened.append(Reporter(path))
        return opened[-1]

    yield open_one
    for reporter in opened:
        reporter.close()
