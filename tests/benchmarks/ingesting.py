"""How fast a trainer's event log gets into SQL, against a plain insert of the same points."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from sqlalchemy import insert

from service.db.tables import metrics as table
from service.domain.jobs import AttemptId
from service.domain.metrics import METRICS, Point
from service.domain.people import Actor
from service.domain.run_folder import EVENTS_FILE
from service.store.jobs import metrics
from service.store.transaction import Store, Transaction
from tests.benchmarks.databases import add_attempt, add_host, open_stores
from tests.benchmarks.figures import Figure, median_seconds
from workers.attempts.ingest import Ingester
from workers.train.process.reporter import Reporter

EVENTS = 15_000
GOALS = {"postgresql": "at least 50 000", "sqlite": "at least 30 000"}


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, open_stores() as stores:
        count = _write_events(Path(folder))
        for name, store in stores.items():
            add_host(store)
            yield from _compare(name, store, Path(folder), count)


def _compare(name: str, store: Store, folder: Path, count: int) -> Iterator[Figure]:
    def plain() -> None:
        with mock.patch.object(metrics, "add_points", _add_plainly):
            _take_in_all(store, folder)

    seconds = median_seconds({"ours": lambda: _take_in_all(store, folder), "plain": plain}, rounds=5)
    rate = count / seconds["ours"]
    yield Figure(name=f"ingest_{name}", ratio=rate, unit="points/s", goal=GOALS[name])
    ratio = seconds["plain"] / seconds["ours"]
    yield Figure(name=f"ingest_{name}_over_executemany", ratio=ratio, unit="times", goal="at least 1")


def _write_events(folder: Path) -> int:
    """Write events of 4 to 8 metrics each; the number of points."""
    reporter = Reporter(folder / EVENTS_FILE)
    names, count = list(METRICS), 0
    for step in range(EVENTS):
        values = {name: (step + 1) / (len(name) + 0.7) for name in names[: 4 + step % 5]}
        reporter.points(step, values)
        count += len(values)
    return count


def _take_in_all(store: Store, folder: Path) -> None:
    ingester = Ingester(store, add_attempt(store, folder), actor=Actor(name="bench"))
    while ingester.ingest():
        pass


def _add_plainly(tx: Transaction, attempt_id: AttemptId, points: Sequence[Point]) -> None:
    rows = [{"attempt_id": attempt_id, "name": p.name, "step": p.step, "value": p.value} for p in points]
    tx.connection.execute(insert(table), rows)
