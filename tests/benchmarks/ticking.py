"""Whole ticks of the scheduler with a long queue and no free GPU, on both databases."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import delete

from service.db import tables
from service.domain.gpus import Gpu
from service.domain.people import Actor
from service.domain.spec_request import resolve_spec
from service.domain.states import Action, Outcome
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.jobs.jobs import WAITS_FOR_SCHEDULER, NewJob
from service.store.people import audit
from service.store.transaction import Store
from tests.benchmarks.databases import WORKER, open_stores
from tests.benchmarks.figures import Figure
from tests.dispatchers import SilentDispatcher

QUEUES = (1_000, 10_000)
OWNERS, HOSTS, GPUS_PER_HOST = 20, 32, 8
ROUNDS = 7
LONG_SECONDS = "86400"  # nobody falls silent and nobody is preempted while it is measured
GOALS = {
    "first": "at most 1000, of 10000 submissions",
    "after_a_submission": "at most 50",
    "after_an_end": "at most 50",
    "of_nothing": "at most 2",
}


class Laboratory:
    """All GPUs of some hosts in use, and the scheduler, whose own seconds go on by one at each tick."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._passed = 0.0
        self._submitted = 0
        self._spec = resolve_spec("lenet5", {"data.dataset": "digits"})
        dispatcher = SilentDispatcher(settings)
        self._scheduler = Scheduler(store, settings, dispatcher, seconds=lambda: self._passed)
        with store.transaction() as tx:
            for table in reversed(tables.metadata.sorted_tables):
                tx.connection.execute(delete(table))
            for number in range(HOSTS):
                gpus = _make_gpus(name := f"gpu{number:02}")
                hosts.register_host(tx, name, worker=WORKER, cores=1, devices=gpus)
        self.submit(HOSTS * GPUS_PER_HOST)
        self.tick()
        self.start_what_was_sent()
        self.tick()

    def tick(self) -> float:
        """How many seconds a tick takes."""
        self._passed += 1.0
        began = time.perf_counter()
        self._scheduler.tick()
        return time.perf_counter() - began

    def submit(self, count: int = 1) -> None:
        new = [
            NewJob(spec=self._spec, owner=f"user{(self._submitted + number) % OWNERS}")
            for number in range(count)
        ]
        self._submitted += count
        with self._store.transaction() as tx:
            job_ids = jobs.create_jobs(tx, new, reason=WAITS_FOR_SCHEDULER)
            audit.add_entries(tx, job_ids, Action.SUBMITTED, actor=Actor(name="bench"))

    def end(self) -> None:
        """End the oldest attempt; its GPU is free until the next tick."""
        with self._store.transaction() as tx:
            oldest = attempts.list_live_attempts(tx)[0]
            actor = Actor(name="bench")
            end_attempt(tx, oldest, Outcome.SUCCEEDED, reason="", actor=actor, retry_limit=0)

    def start_what_was_sent(self) -> None:
        """Play the workers: claim what was dispatched, and train."""
        with self._store.transaction() as tx:
            for sent in attempts.list_unclaimed_attempts(tx):
                taken = attempts.claim(tx, sent.id, worker=WORKER, host_name=sent.host_name, runs_dir="/runs")
                assert taken is not None
                attempts.set_running_if_starting(tx, taken, start_step=0)
                audit.add_entry(tx, sent.job_id, Action.STARTED, actor=Actor(name=WORKER))

    def median_tick(self, act: Callable[[], None]) -> float:
        """How many seconds a tick takes in which only that has happened since the last."""
        taken = []
        for _ in range(ROUNDS):
            act()
            taken.append(self.tick())
            self.start_what_was_sent()
            self.tick()
        return statistics.median(taken)


def _make_gpus(host: str) -> Sequence[Gpu]:
    return [
        Gpu(uuid=f"{host}-{number}", host_name=host, number=number, model="", memory_mib=0, simulated=True)
        for number in range(GPUS_PER_HOST)
    ]


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as home, open_stores() as stores:
        names = ("CNNCTL_LEASE_SECONDS", "CNNCTL_QUANTUM_SECONDS")
        settings = load_settings({"CNNCTL_HOME": home, **dict.fromkeys(names, LONG_SECONDS)})
        for queued in QUEUES:
            for name, store in stores.items():
                for what, seconds in measure(store, settings, queued):
                    title = f"tick_{what}_{queued}_queued_{name}"
                    yield Figure(name=title, ratio=seconds * 1000, unit="ms", goal=GOALS[what])


def measure(store: Store, settings: Settings, queued: int) -> Iterator[tuple[str, float]]:
    laboratory = Laboratory(store, settings)
    laboratory.submit(queued)
    yield "first", laboratory.tick()
    laboratory.tick()
    yield "after_a_submission", laboratory.median_tick(laboratory.submit)
    yield "after_an_end", laboratory.median_tick(laboratory.end)
    yield "of_nothing", laboratory.median_tick(lambda: None)
