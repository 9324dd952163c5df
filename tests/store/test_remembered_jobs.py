"""A scheduler that remembers decides and writes what one that reads everything at each tick does."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.commands.jobs.control import cancel, pause, resume, retry, set_priority
from service.db import tables
from service.db.engine import make_engine
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.domain.spec_request import resolve_spec
from service.domain.states import FINISHED, RETRYABLE, Action, Cause, JobState, Outcome, Priority
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, dependencies, jobs
from service.store.jobs.endings import end_attempt
from service.store.people import audit
from service.store.transaction import Store, Transaction
from tests.conftest import ADA, Clock, new_database
from tests.dispatchers import SilentDispatcher
from tests.properties import examples
from tests.store.picture import take_picture

SPECS = {gpus: resolve_spec("lenet5", {"resources.gpus": gpus}) for gpus in (1, 2)}
OWNERS = (Actor(name="ada"), Actor(name="bob"))
HOSTS = ("gpu01", "gpu02")
SOMEBODY = Actor(name="somebody")


class Laboratory:
    """What people, workers and two schedulers do on one database; `number` picks one of what there is."""

    def __init__(
        self, store: Store, settings: Settings, seconds: Callable[[], float], *, forgets: bool = False
    ) -> None:
        self.store = store
        self.forgets = forgets
        self.dispatcher = SilentDispatcher(settings)
        self.schedulers = [Scheduler(store, settings, self.dispatcher, seconds=seconds) for _ in range(2)]
        empty(store)
        self.start_worker(0)
        for number in range(4):
            self.submit(number)

    def tick(self, number: int) -> None:
        scheduler = self.schedulers[number % 2]
        if self.forgets:
            scheduler.forget()
        scheduler.tick()

    def fail_to_tick(self, number: int) -> None:
        """The database refuses what the tick writes last, so all of it is rolled back."""
        self.dispatcher.error = None  # type: ignore[assignment]
        with pytest.raises(IntegrityError):
            self.tick(number)
        self.dispatcher.error = ""

    def submit(self, number: int) -> None:
        with self.store.transaction() as tx:
            earlier = sorted(jobs.list_states(tx, [JobId(n) for n in range(1, 100)]))
            owner = OWNERS[number % 2]
            job_id = jobs.create_job(tx, SPECS[1 + number % 3 % 2], owner=owner.name, reason="waits")
            if earlier and number % 4 == 3:
                dependencies.add_dependencies(tx, job_id, [earlier[number % len(earlier)]])
            audit.add_entry(tx, job_id, Action.SUBMITTED, actor=owner)

    def cancel(self, number: int) -> None:
        for job_id, owner in self.pick(number, set(JobState) - FINISHED):
            cancel(self.store, job_id, actor=owner)

    def pause(self, number: int) -> None:
        for job_id, owner in self.pick(number, {JobState.QUEUED}):
            pause(self.store, job_id, actor=owner)

    def resume(self, number: int) -> None:
        for job_id, owner in self.pick(number, {JobState.PAUSED}):
            resume(self.store, job_id, actor=owner)

    def retry(self, number: int) -> None:
        for job_id, owner in self.pick(number, set(RETRYABLE)):
            retry(self.store, job_id, actor=owner)

    def set_priority(self, number: int) -> None:
        for job_id, owner in self.pick(number, {JobState.QUEUED, JobState.RUNNING}):
            priority = (Priority.LOW, Priority.NORMAL)[number % 2]
            set_priority(self.store, job_id, priority, actor=owner)

    def succeed(self, number: int) -> None:
        self.end(number, Outcome.SUCCEEDED, None)

    def lose(self, number: int) -> None:
        self.end(number, Outcome.LOST, Cause.KILLED)

    def end(self, number: int, outcome: Outcome, cause: Cause | None) -> None:
        with self.store.transaction() as tx:
            for attempt in pick(number, attempts.list_live_attempts(tx)):
                end_attempt(tx, attempt, outcome, cause=cause, reason="", actor=SOMEBODY, retry_limit=2)

    def drain(self, number: int) -> None:
        with self.store.transaction() as tx:
            for gpu in pick(number, hosts.list_gpus(tx)):
                hosts.drain_gpu(tx, gpu.uuid, reason="cleaning")

    def undrain(self, number: int) -> None:
        with self.store.transaction() as tx:
            for gpu in pick(number, hosts.list_gpus(tx)):
                hosts.undrain_gpu(tx, gpu.uuid)

    def start_worker(self, number: int) -> None:
        name = HOSTS[number % 2]
        devices = [
            Gpu(uuid=f"{name}-{n}", host_name=name, number=n, model="", memory_mib=0, simulated=True)
            for n in range(2)
        ]
        with self.store.transaction() as tx:
            hosts.register_host(tx, name, worker="w", cores=1, devices=devices)

    def leave(self, number: int) -> None:
        with self.store.transaction() as tx:
            hosts.leave(tx, HOSTS[number % 2], worker="w")

    def pick(self, number: int, states: set[JobState]) -> Sequence[tuple[JobId, Actor]]:
        with self.store.reading() as tx:
            found = [job for job in jobs.list_jobs(tx, sort="newest") if job.state in states]
            asked = [a.job_id for a in attempts.list_live_attempts(tx) if a.stop_request]
        return pick(number, [(job.id, Actor(name=job.owner)) for job in found if job.id not in asked])

    def look(self) -> object:
        with self.store.reading() as tx:
            return take_picture(tx)


Act = Callable[[Laboratory, int], None]
ACTS: Sequence[Act] = (
    Laboratory.tick,
    Laboratory.fail_to_tick,
    Laboratory.submit,
    Laboratory.cancel,
    Laboratory.pause,
    Laboratory.resume,
    Laboratory.retry,
    Laboratory.set_priority,
    Laboratory.succeed,
    Laboratory.lose,
    Laboratory.drain,
    Laboratory.undrain,
    Laboratory.start_worker,
    Laboratory.leave,
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 11), st.sampled_from([1, 1, 4, 40, 3700])),
    min_size=5,
    max_size=30,
)


def make_settings(folder: Path) -> Settings:
    return load_settings({"CNNCTL_HOME": str(folder / "home")})


Thing = TypeVar("Thing")


def pick(number: int, there: Sequence[Thing]) -> Sequence[Thing]:
    """One of these; none if there are none."""
    return there[number % len(there) :][:1] if there else []


def empty(store: Store) -> None:
    """Delete everything, and number from 1 again."""
    with store.transaction() as tx:
        names = [table.name for table in reversed(tables.metadata.sorted_tables)]
        if tx.connection.dialect.name == "postgresql":
            tx.connection.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY"))
            return
        for name in (*names, "sqlite_sequence"):
            tx.connection.execute(text(f"DELETE FROM {name}"))


@contextmanager
def new_store(request: pytest.FixtureRequest, kind: str, clock: Clock, path: Path) -> Iterator[Store]:
    if kind == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_with_tables"), path)
        with closing(Store(make_engine(f"sqlite:///{path}"), clock=clock)) as store:
            yield store
        return
    server, template = map(request.getfixturevalue, ("postgres_server", "postgres_with_tables"))
    with new_database(server, template=template) as url:
        with closing(Store(make_engine(url), clock=clock)) as store:
            yield store


@pytest.fixture(params=["sqlite", "postgresql"])
def two_stores(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Sequence[Store]]:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with new_store(request, request.param, clock, tmp_path / "a" / "cnnctl.db") as first:
        with new_store(request, request.param, clock, tmp_path / "b" / "cnnctl.db") as second:
            yield first, second


@pytest.mark.property
@pytest.mark.timeout(900)
def test_what_is_remembered_changes_no_decision(
    two_stores: Sequence[Store], clock: Clock, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path)
    passed = [0.0]

    @hypothesis_settings(
        max_examples=examples(200, few=25),
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(history=HISTORIES)
    def compare(history: Sequence[tuple[Act, int, int]]) -> None:
        remembering, forgetful = (
            Laboratory(store, settings, lambda: passed[0], forgets=forgets)
            for store, forgets in zip(two_stores, (False, True), strict=True)
        )
        for act, number, seconds in history:
            clock.advance(seconds)
            passed[0] += seconds
            for laboratory in (remembering, forgetful):
                act(laboratory, number)
            clock.advance(0.5)
            for laboratory in (remembering, forgetful):
                laboratory.tick(number // 3)
            assert remembering.look() == forgetful.look()

    compare()


on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # which has many writers


@pytest.fixture
def laboratory(store: Store, tmp_path: Path) -> Laboratory:
    return Laboratory(store, make_settings(tmp_path), lambda: 0.0)


def test_what_another_scheduler_has_written_is_read(
    store: Store, clock: Clock, laboratory: Laboratory
) -> None:

    def read_reasons(number: int) -> Sequence[str]:
        clock.advance(1)
        laboratory.tick(number)
        with store.reading() as tx:
            return [job.reason for job in jobs.list_jobs_in(tx, JobState.QUEUED)]

    laboratory.cancel(3)
    laboratory.set_priority(0)  # of the last one, which waits
    before = read_reasons(0)
    with store.transaction() as tx:
        hosts.set_unanswering(tx, HOSTS[0], worker="w")
    assert read_reasons(1) != before
    laboratory.start_worker(0)
    assert read_reasons(0) == before


def test_nothing_is_remembered_of_a_tick_that_was_rolled_back(store: Store, laboratory: Laboratory) -> None:
    """It had queued what ran on a lost host; on SQLite, others' entries get the numbers of its entries."""
    laboratory.tick(0)
    laboratory.leave(0)
    laboratory.fail_to_tick(0)
    laboratory.start_worker(0)
    with store.reading() as tx:
        queued = jobs.list_jobs_in(tx, JobState.QUEUED)
    laboratory.succeed(0)
    laboratory.succeed(0)
    laboratory.tick(0)
    with store.reading() as tx:
        assert jobs.list_states(tx, [queued[0].id]) == {queued[0].id: JobState.RUNNING}


@on_postgresql
def test_a_job_whose_submission_is_committed_late_is_placed_by_the_next_tick(
    store: Store, clock: Clock, laboratory: Laboratory
) -> None:
    """Its number and its entry's are smaller than those that the scheduler has seen."""
    laboratory.start_worker(1)
    laboratory.tick(0)
    with store.transaction() as late:
        job_id = submit_in(late)
        with store.transaction() as tx:
            submit_in(tx, gpus=2)
        for _ in range(2):
            clock.advance(1)
            laboratory.tick(0)
    for number in range(4):
        laboratory.succeed(number)
    clock.advance(1)
    laboratory.tick(0)
    with store.reading() as tx:
        assert attempts.list_attempts(tx, job_id)


@on_postgresql
def test_a_job_that_ends_during_a_tick_does_not_end_the_tick(
    clock: Clock, laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of its GPUs is older than what is read of its attempt."""
    laboratory.tick(0)
    read, ends = attempts.list_latest_of, [0]

    def end_first(tx: Transaction, *given: Any, **more: Any) -> Sequence[Attempt]:
        while ends:
            laboratory.succeed(ends.pop())
        return read(tx, *given, **more)

    laboratory.submit(0)
    clock.advance(1)
    laboratory.tick(0)  # so that run times of ended jobs are learned before
    monkeypatch.setattr(attempts, "list_latest_of", end_first)
    ends[:] = [0]
    clock.advance(1)
    laboratory.tick(0)
    assert not ends


def submit_in(tx: Transaction, *, gpus: int = 1) -> JobId:
    job_id = jobs.create_job(tx, SPECS[gpus], owner="ada", reason="waits")
    audit.add_entry(tx, job_id, Action.SUBMITTED, actor=ADA)
    return job_id
