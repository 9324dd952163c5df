"""Random histories of one laboratory on the real store: no job is lost, and none runs twice.

The machine plays the broker, both workers and their trainers; everything that decides is the service's own.
"""

import json
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, event

from service.commands.jobs.control import cancel, pause, resume, retry
from service.commands.jobs.submit import submit
from service.db import tables
from service.db.engine import make_engine
from service.dispatch.dispatcher import Dispatcher
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, AttemptId, JobId
from service.domain.people import SCHEDULER, Actor
from service.domain.run_folder import CHECKPOINTS_DIR, EVENTS_FILE, checkpoint_name
from service.domain.spec import CheckpointSpec
from service.domain.states import (
    FINISHED,
    RETRYABLE,
    AttemptState,
    Cause,
    GpuState,
    JobState,
    Outcome,
    StopRequest,
)
from service.errors import Fenced, JobConflict, NotAllowed, SpecError
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, stop_requests
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store, Transaction
from tests.conftest import ADA, Clock
from tests.properties import examples
from tests.store.picture import (
    check_checkpoints,
    check_growth,
    check_jobs,
    check_leases,
    check_lost_attempts,
    check_moves_of_attempts,
    check_moves_of_jobs,
    take_picture,
)
from workers.attempts.ingest import Ingester
from workers.attempts.supervisor import claim

Ending = tuple[Outcome, Cause | None]

HOSTS = {"gpu01": 3, "gpu02": 1}
FIRST_JOBS = [1, 2, 2]  # the last one waits
MOST_JOBS = 5
RETRY_LIMIT = 1
ENDINGS: Sequence[Ending] = [
    (Outcome.SUCCEEDED, None),
    (Outcome.FAILED, Cause.ERROR),
    (Outcome.FAILED, Cause.DEVICE_ERROR),
    (Outcome.CANCELLED, None),
    (Outcome.INTERRUPTED, None),
    (Outcome.LOST, Cause.KILLED),
]


class HoldingDispatcher(Dispatcher):
    """A broker that keeps what is sent, so that it comes once, twice, late or never."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sent: list[AttemptId] = []

    def send(self, attempt: Attempt, *, host_name: str | None = None) -> None:
        self.sent.append(attempt.id)


class Hold:
    """What a worker knows of an attempt since it claimed or adopted it."""

    def __init__(self, worker: str, attempt: Attempt, ingester: Ingester) -> None:
        self.worker, self.attempt, self.ingester = worker, attempt, ingester

    def __repr__(self) -> str:
        return f"<{self.worker}'s attempt {self.attempt.id}, token {self.attempt.token}>"


def some(name: str) -> st.SearchStrategy[Any]:
    """One of what the machine's method `name` lists now."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, name)()))


Rule = TypeVar("Rule", bound=Callable[..., object])


def while_some(name: str) -> Callable[[Rule], Rule]:
    """Only while the machine's method `name` lists anything."""
    decorate: Callable[[Rule], Rule] = precondition(lambda machine: bool(getattr(machine, name)()))
    return decorate


class Laboratory(RuleBasedStateMachine):
    """Two hosts, two schedulers, people who change their minds, and everything that can go wrong."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, dispatcher: HoldingDispatcher) -> None:
        super().__init__()
        self.store, self.clock, self.settings, self.dispatcher = store, clock, settings, dispatcher
        self.seconds = 0.0
        self.schedulers = [
            Scheduler(store, settings, dispatcher, seconds=lambda: self.seconds) for _ in range(2)
        ]
        self.submitted: set[JobId] = set()
        self.retried: set[JobId] = set()
        self.worker_names: list[str] = []
        self.workers: dict[str, str] = {}
        self.awake: set[str] = set()
        self.holds: list[Hold] = []
        self.written: dict[AttemptId, list[dict[str, Any]]] = defaultdict(list)
        self.taken_in: dict[AttemptId, int] = {}
        self.best: list[tuple[AttemptId, int]] = []

    @initialize()
    def open(self) -> None:
        self.dispatcher.sent.clear()
        with self.store.transaction() as tx:
            for table in reversed(tables.metadata.sorted_tables):
                tx.connection.execute(delete(table))
            self.before = take_picture(tx)
        for host, gpus in HOSTS.items():
            self.start_worker(host, gpus=gpus)
        for gpus in FIRST_JOBS:
            self.submit(gpus)
        self.place_and_deliver()

    @invariant()
    def look(self) -> None:
        with self.store.reading() as tx:
            now = take_picture(tx)
        assert set(now.jobs) == self.submitted
        check_jobs(now)
        saved = self.steps_taken_in("checkpoint")
        check_lost_attempts(now, saved=saved, retry_limit=RETRY_LIMIT)
        check_checkpoints(now, saved=saved, best=self.best, keep=CheckpointSpec().keep)
        check_leases(now)
        check_moves_of_jobs(self.before, now, retried=self.retried)
        check_moves_of_attempts(self.before, now)
        check_growth(self.before, now)
        assert now.points == self.steps_taken_in("points")
        self.before = now
        self.retried.clear()

    # What there is now, for the rules to choose from.

    def jobs(self) -> Sequence[JobId]:
        return sorted(self.before.jobs)

    def messages(self) -> Sequence[AttemptId]:
        return self.dispatcher.sent

    def unfinished_jobs(self) -> Sequence[JobId]:
        return [job_id for job_id, row in self.before.jobs.items() if row["state"] not in FINISHED]

    def paused_jobs(self) -> Sequence[JobId]:
        return [job_id for job_id, row in self.before.jobs.items() if row["state"] is JobState.PAUSED]

    def pausable_jobs(self) -> Sequence[JobId]:
        """Queued ones, and running ones that nobody has cancelled."""
        rows = self.before.attempts.values()
        cancelled = {
            row["job_id"]
            for row in rows
            if row["state"] is not AttemptState.ENDED and row["stop_request"] is StopRequest.CANCEL
        }
        states = {job_id: self.before.jobs[job_id]["state"] for job_id in self.unfinished_jobs()}
        return [
            job_id
            for job_id, state in states.items()
            if state is not JobState.PAUSED and job_id not in cancelled
        ]

    def retryable_jobs(self) -> Sequence[JobId]:
        return [job_id for job_id, row in self.before.jobs.items() if row["state"] in RETRYABLE]

    def awaited(self) -> Sequence[AttemptId]:
        """Attempts whose message has been sent, and whose host's worker is there to take it."""
        rows = [self.before.attempts[id_] for id_ in sorted(set(self.messages()))]
        return [
            row["id"]
            for row in rows
            if row["state"] is AttemptState.DISPATCHED and row["host_name"] in self.awake
        ]

    def claimed(self) -> Sequence[AttemptId]:
        claimed = (AttemptState.STARTING, AttemptState.RUNNING)
        return [id_ for id_, row in self.before.attempts.items() if row["state"] in claimed]

    def current_holds(self) -> Sequence[Hold]:
        return [hold for hold in self.holds if self.is_current(hold)]

    def stale_holds(self) -> Sequence[Hold]:
        return [hold for hold in self.holds if not self.is_current(hold)]

    def awake_hosts(self) -> Sequence[str]:
        return sorted(self.awake)

    def replaced_workers(self) -> Sequence[str]:
        return [name for name in self.worker_names if name not in self.workers.values()]

    def free_to_break(self) -> Sequence[str]:
        """GPUs in use, but for the last one: without any, nothing would happen any more."""
        usable = [uuid for uuid, row in self.before.gpus.items() if row["state"] is GpuState.AVAILABLE]
        return usable[:-1]

    def is_current(self, hold: Hold) -> bool:
        row = self.before.attempts[hold.attempt.id]
        return row["state"] is not AttemptState.ENDED and bool(row["token"] == hold.attempt.token)

    # People.

    @precondition(lambda self: len(self.unfinished_jobs()) < MOST_JOBS)
    @rule(gpus=st.integers(1, 2))
    def submit(self, gpus: int) -> None:
        view = submit(self.store, self.settings, "softmax", {"resources.gpus": gpus}, owner=ADA)
        self.submitted.add(JobId(view.job))

    @while_some("unfinished_jobs")
    @rule(job_id=some("unfinished_jobs"))
    def cancel(self, job_id: JobId) -> None:
        running = {self.before.attempts[id_]["job_id"] for id_ in self.claimed()}
        state = cancel(self.store, job_id, actor=ADA)
        assert state is (JobState.RUNNING if job_id in running else JobState.CANCELLED)

    @while_some("pausable_jobs")
    @rule(job_id=some("pausable_jobs"))
    def pause(self, job_id: JobId) -> None:
        running = {self.before.attempts[id_]["job_id"] for id_ in self.claimed()}
        state = pause(self.store, job_id, actor=ADA)
        assert state is (JobState.RUNNING if job_id in running else JobState.PAUSED)

    @while_some("paused_jobs")
    @rule(job_id=some("paused_jobs"))
    def resume(self, job_id: JobId) -> None:
        resume(self.store, job_id, actor=ADA)

    @while_some("unfinished_jobs")
    @rule(job_id=some("unfinished_jobs"))
    def preempt(self, job_id: JobId) -> None:
        live = [row for row in self.before.attempts_of(job_id) if row["state"] is not AttemptState.ENDED]
        with self.store.transaction() as tx:
            asked = stop_requests.request_preemption(
                tx, job_id, reason="preempted for job 1", actor=SCHEDULER
            )
        assert asked == any(row["stop_request"] in (None, StopRequest.PREEMPT) for row in live)

    @while_some("retryable_jobs")
    @rule(job_id=some("retryable_jobs"))
    def retry(self, job_id: JobId) -> None:
        self.retried.add(job_id)
        retry(self.store, job_id, actor=ADA)

    @while_some("jobs")
    @rule(job_id=some("jobs"))
    def ask_for_the_impossible(self, job_id: JobId) -> None:
        with self.nothing_changes():
            if job_id not in self.retryable_jobs():
                with pytest.raises(JobConflict):
                    retry(self.store, job_id, actor=ADA)
            if job_id not in self.unfinished_jobs():
                with pytest.raises(JobConflict):
                    cancel(self.store, job_id, actor=ADA)
            if job_id not in self.pausable_jobs():
                with pytest.raises(JobConflict):
                    pause(self.store, job_id, actor=ADA)
            if job_id not in self.paused_jobs():
                with pytest.raises(JobConflict):
                    resume(self.store, job_id, actor=ADA)
            with pytest.raises(NotAllowed):
                cancel(self.store, job_id, actor=Actor(name="eve"))
            with pytest.raises(SpecError):
                submit(self.store, self.settings, "softmax", {"resources.gpus": 4}, owner=ADA)

    # Schedulers and the broker.

    @rule(scheduler=st.sampled_from([0, 1]))
    def tick(self, scheduler: int) -> None:
        self.schedulers[scheduler].tick()

    @while_some("claimed")
    @rule(attempt_id=some("claimed"))
    def rescue(self, attempt_id: AttemptId) -> None:
        with self.store.transaction() as tx:
            assert self.end(tx, attempts.get_attempt(tx, attempt_id), (Outcome.LOST, Cause.LOST_HOST))

    @while_some("awaited")
    @rule(attempt_id=some("awaited"))
    def deliver(self, attempt_id: AttemptId) -> None:
        host = self.before.attempts[attempt_id]["host_name"]
        taken = self.claim(attempt_id, host)
        assert taken is not None
        self.hold(taken, self.workers[host])

    @precondition(lambda self: self.messages() and self.awake)
    @rule(attempt_id=some("messages"), host=some("awake_hosts"))
    def deliver_wrongly(self, attempt_id: AttemptId, host: str) -> None:
        """To another host, once more, or long after the end."""
        row = self.before.attempts[attempt_id]
        if row["state"] is not AttemptState.DISPATCHED or row["host_name"] != host:
            with self.nothing_changes():
                assert self.claim(attempt_id, host) is None

    @while_some("unfinished_jobs")
    @rule()
    def all_goes_well(self) -> None:
        """Everything works and jobs start, as on most days: rare histories begin there."""
        self.place_and_deliver()
        for hold in self.current_holds():
            for answer_was_lost in (False, True):
                self.train(hold, 1)
                self.ingest(hold, answer_was_lost=answer_was_lost)

    # Workers.

    @while_some("awake_hosts")
    @rule(host=some("awake_hosts"))
    def heartbeat(self, host: str) -> None:
        worker = self.workers[host]
        known = [hold.attempt.id for hold in self.holds if hold.worker == worker]
        with self.store.transaction() as tx:
            renewed = attempts.heartbeat(tx, known, worker=worker)
            assert hosts.heartbeat(tx, host, worker=worker)
        own = [hold.attempt.id for hold in self.current_holds() if hold.worker == worker]
        assert sorted(attempt.id for attempt in renewed) == sorted(own)

    @while_some("awake_hosts")
    @rule(host=some("awake_hosts"), says_so=st.booleans())
    def worker_falls_silent(self, host: str, says_so: bool) -> None:  # noqa: FBT001 - Hypothesis passes names
        self.awake.remove(host)
        if says_so:
            with self.store.transaction() as tx:
                hosts.leave(tx, host, worker=self.workers[host])

    @rule(host=st.sampled_from(sorted(HOSTS)), missing=st.integers(0, 1))
    def worker_comes_back(self, host: str, missing: int) -> None:
        self.start_worker(host, gpus=max(1, HOSTS[host] - missing))
        self.look()
        for hold in self.stale_holds()[-2:]:
            self.come_too_late(hold, (Outcome.SUCCEEDED, None))

    @while_some("replaced_workers")
    @rule(worker=some("replaced_workers"))
    def replaced_worker_is_heard(self, worker: str) -> None:
        with self.nothing_changes(), self.store.transaction() as tx:
            assert attempts.heartbeat(tx, list(self.before.attempts), worker=worker) == []
            assert not any(hosts.heartbeat(tx, host, worker=worker) for host in HOSTS)
            for host in HOSTS:
                hosts.leave(tx, host, worker=worker)

    @while_some("free_to_break")
    @rule(uuid=some("free_to_break"))
    def quarantine(self, uuid: str) -> None:
        with self.store.transaction() as tx:
            hosts.quarantine_gpu(tx, uuid, reason="a process is still there")

    @rule()
    def give_gpus_back(self) -> None:
        with self.store.transaction() as tx:
            for uuid in self.before.gpus:
                hosts.release_gpu(tx, uuid)

    # Trainers.

    @while_some("current_holds")
    @rule(hold=some("current_holds"), count=st.integers(1, 3))
    def train(self, hold: Hold, count: int) -> None:
        for _ in range(count):
            self.take_step(hold)

    @while_some("current_holds")
    @rule(hold=some("current_holds"), best=st.booleans())
    def save(self, hold: Hold, best: bool) -> None:  # noqa: FBT001 - Hypothesis passes names
        step = self.take_step(hold)
        path = Path(hold.attempt.run_dir, CHECKPOINTS_DIR, checkpoint_name(step))
        place = {"epoch": 1, "bytes": 5, "digest": "d" * 64, "path": str(path)}
        if best:
            self.best.append((hold.attempt.id, step))
        self.write(hold, kind="checkpoint", step=step, best=best, **place)

    @while_some("current_holds")
    @rule(hold=some("current_holds"), answer_was_lost=st.booleans())
    def ingest(self, hold: Hold, answer_was_lost: bool) -> None:  # noqa: FBT001 - Hypothesis passes names
        if answer_was_lost:
            hold.ingester = Ingester(self.store, hold.attempt, actor=Actor(name=hold.worker))
        hold.ingester.ingest()
        self.taken_in[hold.attempt.id] = len(self.written[hold.attempt.id])

    @while_some("current_holds")
    @rule(hold=some("current_holds"), ending=st.sampled_from(ENDINGS))
    def trainer_ends(self, hold: Hold, ending: Ending) -> None:
        self.ingest(hold, answer_was_lost=False)
        with self.store.transaction() as tx:
            assert self.end(tx, hold.attempt, ending)

    # Those who come too late.

    @while_some("stale_holds")
    @rule(hold=some("stale_holds"), ending=st.sampled_from(ENDINGS))
    def come_too_late(self, hold: Hold, ending: Ending) -> None:
        self.take_step(hold)
        with self.nothing_changes(), pytest.raises(Fenced):
            hold.ingester.ingest()
        with self.nothing_changes(), pytest.raises(Fenced), self.store.transaction() as tx:
            attempts.write(tx, hold.attempt, events_offset=10**6, reason="late")
        with self.nothing_changes(), pytest.raises(Fenced), self.store.transaction() as tx:
            attempts.adopt(tx, hold.attempt, worker="late")
        with self.nothing_changes(), self.store.transaction() as tx:
            assert not self.end(tx, hold.attempt, ending)

    @while_some("current_holds")
    @rule(hold=some("current_holds"), ending=st.sampled_from(ENDINGS))
    def database_goes_away_during_a_decision(self, hold: Hold, ending: Ending) -> None:
        def decide() -> None:
            with self.store.transaction() as tx:
                assert self.end(tx, hold.attempt, ending)
                raise ConnectionError

        with self.nothing_changes(), pytest.raises(ConnectionError):
            decide()

    @rule(seconds=st.sampled_from([1.0, 6.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def clock_is_set(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(scheduler=st.sampled_from([0, 1]))
    def nobody_is_heard(self, scheduler: int) -> None:
        """For longer than the lease, while the scheduler listens."""
        for _ in range(4):
            self.time_passes(self.settings.lease_seconds / 3)
            self.tick(scheduler)
            self.look()

    # What the rules are made of.

    @contextmanager
    def nothing_changes(self) -> Iterator[None]:
        yield
        with self.store.reading() as tx:
            assert take_picture(tx) == self.before

    def place_and_deliver(self) -> None:
        for host in sorted(HOSTS.keys() - self.awake):
            self.start_worker(host, gpus=HOSTS[host])
        for _ in range(2):
            self.look()
            for host in self.awake_hosts():
                self.heartbeat(host)
            self.tick(0)
            self.time_passes(self.settings.resend_seconds + 1)
        self.look()
        for attempt_id in self.awaited():
            self.deliver(attempt_id)
        self.look()

    def start_worker(self, host: str, *, gpus: int) -> None:
        """As workers.host_agent does: first take over what runs, then register."""
        worker = f"w{len(self.worker_names)}"
        self.worker_names.append(worker)
        with self.store.transaction() as tx:
            live = attempts.list_live_attempts(tx, host_name=host)
            left_behind = [a for a in live if a.state is not AttemptState.DISPATCHED]
            adopted = [attempts.adopt(tx, attempt, worker=worker) for attempt in left_behind]
        with self.store.transaction() as tx:
            devices = [make_gpu(host, number) for number in range(gpus)]
            hosts.register_host(tx, host, worker=worker, cores=2, devices=devices)
        for attempt in adopted:
            self.hold(attempt, worker)
        self.workers[host] = worker
        self.awake.add(host)

    def claim(self, attempt_id: AttemptId, host: str) -> Attempt | None:
        settings = replace(self.settings, host=host)
        return claim(self.store, settings, attempt_id, worker=self.workers[host])

    def hold(self, attempt: Attempt, worker: str) -> None:
        ingester = Ingester(self.store, attempt, actor=Actor(name=worker))
        self.holds.append(Hold(worker, attempt, ingester))

    def take_step(self, hold: Hold) -> int:
        """Let the trainer take its next step and write of it; returns the step."""
        written = self.written[hold.attempt.id]
        step: int = 1 + sum(event["kind"] == "points" for event in written)
        if not written:
            self.write(hold, kind="started", step=0, exact=True, note="")
        self.write(hold, kind="points", step=step, values={"loss": 1.0})
        return step

    def write(self, hold: Hold, **event: Any) -> None:
        self.written[hold.attempt.id].append(event)
        folder = Path(hold.attempt.run_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / EVENTS_FILE).open("a") as file:
            file.write(json.dumps({"at": 0, **event}) + "\n")

    def steps_taken_in(self, kind: str) -> Mapping[AttemptId, Sequence[int]]:
        """What SQL must have of these events, by attempt."""
        taken = {id_: self.written[id_][:count] for id_, count in self.taken_in.items()}
        steps = {id_: [e["step"] for e in seen if e["kind"] == kind] for id_, seen in taken.items()}
        return {id_: found for id_, found in steps.items() if found}

    def end(self, tx: Transaction, attempt: Attempt, ending: Ending) -> bool:
        outcome, cause = ending
        limit = self.settings.retry_limit
        return end_attempt(
            tx, attempt, outcome, cause=cause, reason="ended", actor=Actor(name="somebody"), retry_limit=limit
        )

    def teardown(self) -> None:
        """Whatever has happened: once everything works again, every job comes to its end."""
        if sys.exc_info()[0] is not None:
            return  # a rule has failed already
        for host, gpus in HOSTS.items():
            self.start_worker(host, gpus=gpus)
        self.look()
        for job_id in self.paused_jobs():
            self.resume(job_id)
        self.look()
        for _ in range(len(self.unfinished_jobs())):
            self.dispatcher.sent.clear()  # all earlier messages are lost
            self.place_and_deliver()
            for hold in self.current_holds():
                self.trainer_ends(hold, (Outcome.SUCCEEDED, None))
            self.look()
        usable = [row["host_name"] for row in self.before.gpus.values() if row["state"] is GpuState.AVAILABLE]
        largest = max(usable.count(host) for host in HOSTS)
        for job_id in self.unfinished_jobs():
            job = self.before.jobs[job_id]
            assert (job["state"], job["gpus"] > largest) == (JobState.QUEUED, True)


def make_gpu(host: str, number: int) -> Gpu:
    name = f"{host}-{number}"
    return Gpu(uuid=name, host_name=host, number=number, model="sim", memory_mib=0, simulated=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    return load_settings({"CNNCTL_HOME": str(home), "CNNCTL_RETRY_LIMIT": str(RETRY_LIMIT)})


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    """As everywhere, but for the time that the disk takes: no test pulls the plug."""
    engine = make_engine(store_url)
    event.listen(engine, "connect", hurry)
    with closing(Store(engine, clock=clock)) as store:
        yield store


def hurry(connection: Any, _record: object) -> None:
    sqlite = isinstance(connection, sqlite3.Connection)
    connection.execute("PRAGMA synchronous = OFF" if sqlite else "SET synchronous_commit = off")
    connection.commit()


@pytest.mark.property
@pytest.mark.timeout(900)  # a history that breaks a law is made as short as can be first
def test_no_history_loses_a_job_or_runs_it_twice(store: Store, clock: Clock, settings: Settings) -> None:
    dispatcher = HoldingDispatcher(settings)
    run_state_machine_as_test(
        cast(type[Laboratory], lambda: Laboratory(store, clock, settings, dispatcher)),
        settings=hypothesis_settings(
            max_examples=examples(60, few=15),
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
