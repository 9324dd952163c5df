"""How late heartbeats come while a hundred attempts log at once, as fast as the worker lets them."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.domain.jobs import Attempt
from service.domain.metrics import METRICS
from service.domain.people import Actor
from service.domain.run_folder import EVENTS_FILE
from service.store.jobs import attempts
from service.store.transaction import Store
from tests.benchmarks.databases import WORKER, add_attempt, add_host, open_stores
from tests.benchmarks.figures import Figure
from workers.attempts.ingest import Ingester
from workers.attempts.supervisor import FOLLOW_SECONDS
from workers.train.process.reporter import Reporter

ATTEMPTS, BEATS, EVENTS_AT_ONCE = 100, 10, 5


def figures() -> Iterator[Figure]:
    for name, store in _each_store():
        with tempfile.TemporaryDirectory() as folder:
            longest, takes = _measure(store, Path(folder))
        yield Figure(
            name=f"heartbeat_{name}_longest_delay", ratio=longest, unit="s", goal="at most 2, of 100 attempts"
        )
        yield Figure(name=f"heartbeat_{name}_batches_meanwhile", ratio=takes, unit="per s", goal="as it is")


def _each_store() -> Iterator[tuple[str, Store]]:
    with open_stores() as stores:
        yield from stores.items()


def _measure(store: Store, folder: Path) -> tuple[float, float]:
    """The longest time between due and done of a heartbeat, and batches taken in a second."""
    add_host(store)
    followed = [_start_attempt(store, folder / str(number)) for number in range(ATTEMPTS)]
    stop = threading.Event()
    taken = [0] * ATTEMPTS

    def follow(number: int) -> None:
        ingester = Ingester(store, followed[number], actor=Actor(name="bench"))
        reporter = Reporter(Path(followed[number].run_dir) / EVENTS_FILE)
        values = dict.fromkeys(list(METRICS)[:6], 0.5)
        while not stop.wait(FOLLOW_SECONDS):
            for step in range(EVENTS_AT_ONCE):
                reporter.points(EVENTS_AT_ONCE * taken[number] + step, values)
            ingester.ingest()
            taken[number] += 1

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(ATTEMPTS)]
    for thread in threads:
        thread.start()
    longest = max(_beat(store, followed))
    stop.set()
    for thread in threads:
        thread.join()
    assert all(taken), "an attempt has logged nothing"
    return longest, sum(taken) / BEATS


def _start_attempt(store: Store, folder: Path) -> Attempt:
    folder.mkdir()
    return add_attempt(store, folder)


def _beat(store: Store, followed: Sequence[Attempt]) -> Iterator[float]:
    """Renew all attempts once a second, as the worker does; how late each time."""
    due = time.monotonic()
    for _ in range(BEATS):
        due = max(due + 1, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        with store.transaction(urgent=True) as tx:
            renewed = attempts.heartbeat(tx, [attempt.id for attempt in followed], worker=WORKER)
        assert len(renewed) == ATTEMPTS
        yield time.monotonic() - due
