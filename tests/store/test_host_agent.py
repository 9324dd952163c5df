"""One worker a host: who has its name, what its heartbeat waits for, what becomes of trainers that hang."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import RowMapping

from service.commands.fleet.health import check_health
from service.commands.fleet.hosts import list_host_views
from service.commands.people.audit import list_audit_views
from service.dispatch.dispatcher import Dispatcher
from service.domain.gpus import Host
from service.domain.jobs import Attempt, AttemptId, JobId
from service.domain.people import SCHEDULER
from service.domain.states import (
    AttemptState,
    Cause,
    GpuState,
    JobState,
    Outcome,
    Standing,
    StopRequest,
    Subject,
)
from service.errors import AlreadyRunning
from service.process import find_start
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import HOST, Clock
from tests.servers import wait_until
from workers.attempts.ingest import Ingester
from workers.attempts.supervisor import Supervisor, kill_left_over
from workers.host_agent import HostAgent
from workers.host_lock import lock_host
from workers.process_tree import MARK, ProcessTree, list_run_dirs

LEASE_SECONDS = 30.0


class NoStarter:
    """No test here starts a trainer."""


class Held(ProcessTree):
    """A trainer whose end takes until `go`, as under a slow driver."""

    go = threading.Event()

    def kill(self, *, timeout_seconds: float = 0.0) -> bool:
        assert self.go.wait(60)
        return super().kill()


class Hung(ProcessTree):
    """A trainer that no signal reaches, as one in a driver that hangs."""

    def send(self, pid: int, number: signal.Signals) -> None:
        pass

    def kill(self, *, timeout_seconds: float = 0.0) -> bool:
        return super().kill(timeout_seconds=min(timeout_seconds, 0.1))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    named = {"CNNCTL_HOME": str(tmp_path), "CNNCTL_HOST": HOST, "CNNCTL_GPUS": "sim:4"}
    return load_settings({**named, "CNNCTL_HEARTBEAT_SECONDS": "0.02", "CNNCTL_GRACE_SECONDS": "0.1"})


@pytest.fixture
def make_agent(store: Store, settings: Settings) -> Iterator[Callable[..., HostAgent]]:
    """Workers of gpu01; they end in the order in which they were made."""
    made: list[HostAgent] = []
    before = set(threading.enumerate())

    def make(*dead_workers: str, settings: Settings = settings) -> HostAgent:
        made.append(HostAgent(store, settings, NoStarter(), dead_workers=dead_workers))  # type: ignore[arg-type]
        return made[-1]

    yield make
    Held.go.set()
    for agent in made:
        agent.close()
        agent.stop()
    # Or one would have a connection of a closed store; the heartbeat's first, which starts others.
    for names in (("heartbeat",), ()):
        for thread in set(threading.enumerate()) - before:
            if not names or thread.name in names:
                thread.join(60)


@pytest.fixture
def trainers(
    store: Store, claimed: Callable[..., Attempt], add_host: Callable[..., None], tmp_path: Path
) -> Iterator[Sequence[Attempt]]:
    """Three attempts that worker w1 has claimed, each with a process that takes no SIGTERM."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    add_host(gpus=4)
    made, processes = [], []
    for number in range(3):
        attempt = claimed(gpu=f"{HOST}-{number}", runs_dir=str(tmp_path / "runs"))
        Path(attempt.run_dir).mkdir(parents=True)
        environment = {**os.environ, MARK: attempt.run_dir}
        processes.append(
            subprocess.Popen([sys.executable, "-c", program], env=environment, start_new_session=True)
        )
        pid = processes[-1].pid
        with store.transaction() as tx:
            attempts.write(tx, attempt, trainer_pid=pid, trainer_started=find_start(pid))
            made.append(attempts.get_attempt(tx, attempt.id))
    yield made
    for process in processes:
        process.kill()
        process.wait()


def host_of(store: Store) -> Host:
    with store.reading() as tx:
        return next(host for host in hosts.list_hosts(tx) if host.name == HOST)


def attempt_of(store: Store, attempt: Attempt) -> Attempt:
    with store.reading() as tx:
        return attempts.get_attempt(tx, attempt.id)


def wait_for_heartbeat(store: Store) -> None:
    """Wait until the worker has said again how far its clock is ahead, since the database's stands still."""
    before = host_of(store).clock_ahead_seconds
    wait_until(lambda: host_of(store).clock_ahead_seconds != before)


def tree_of(attempt: Attempt, kind: type[ProcessTree]) -> ProcessTree:
    return kind(pid=attempt.trainer_pid, started=attempt.trainer_started, run_dir=attempt.run_dir)


def supervisor_of(agent: HostAgent, attempt: Attempt) -> Supervisor:
    return agent._supervisors[attempt.id]


def test_the_second_worker_of_a_name_is_refused_and_takes_nothing_over_while_the_first_is_heard(
    store: Store, clock: Clock, make_agent: Callable[..., HostAgent], trainers: Sequence[Attempt]
) -> None:
    first, second = make_agent("w1"), make_agent()
    first.take_over()
    first.register()
    clock.advance(LEASE_SECONDS - 1)
    wait_until(lambda: host_of(store).heartbeat_at == clock.now)
    with pytest.raises(AlreadyRunning, match=r"is already running, on another machine .* set CNNCTL_HOST"):
        second.take_over()
    assert host_of(store).worker == first.worker
    assert attempt_of(store, trainers[0]).token == trainers[0].token + 1  # the first has adopted it


def test_a_worker_that_starts_holds_the_name_and_gets_no_work(
    store: Store, make_agent: Callable[..., HostAgent]
) -> None:
    first, second = make_agent(), make_agent()
    first.take_over()
    assert (host_of(store).standing, host_of(store).heartbeat_at) == (Standing.RESERVED, None)
    with pytest.raises(AlreadyRunning):
        second.take_over()
    first.register()
    wait_until(lambda: host_of(store).standing is Standing.REGISTERED)
    first.close()
    assert (host_of(store).standing, host_of(store).heartbeat_at) == (Standing.RESERVED, None)
    with pytest.raises(AlreadyRunning):
        second.take_over()
    first.stop()
    second.take_over()
    assert host_of(store).worker == second.worker


def test_a_worker_that_died_is_replaced_after_the_lease_or_at_once_where_its_death_is_proven(
    store: Store, clock: Clock, add_host: Callable[..., None], make_agent: Callable[..., HostAgent]
) -> None:
    add_host(worker="dead")
    with pytest.raises(AlreadyRunning):
        make_agent("another").take_over()
    proven = make_agent("another", "dead")
    proven.take_over()
    assert host_of(store).worker == proven.worker
    proven.close()
    proven.stop()
    add_host(worker="dead")
    clock.advance(LEASE_SECONDS + 1)
    late = make_agent()
    late.take_over()
    assert host_of(store).worker == late.worker


def test_a_worker_whose_host_another_has_taken_ends_itself_and_says_why(
    store: Store, make_agent: Callable[..., HostAgent], add_host: Callable[..., None]
) -> None:
    told = threading.Event()
    usual = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        agent = make_agent()
        agent.take_over()
        add_host(worker="another")  # as after a pause for longer than the lease
        wait_until(told.is_set)
    finally:
        signal.signal(signal.SIGTERM, usual)
    assert "is already running" in agent.replaced
    assert host_of(store).worker == "another"


def test_a_worker_that_takes_no_messages_is_registered_again_when_one_comes_or_its_broker_is_back(
    store: Store, clock: Clock, make_agent: Callable[..., HostAgent]
) -> None:
    agent = make_agent()
    agent.take_over()
    agent.register()
    signs: list[Callable[[], None]] = [partial(agent.run_attempt, AttemptId(999)), agent.register]
    for sign in signs:
        wait_until(lambda: host_of(store).heartbeat_at == clock.now)
        with store.transaction() as tx:
            hosts.set_unanswering(tx, HOST, worker=agent.worker)
        for _ in range(2):  # the first of these heartbeats may have begun before
            wait_for_heartbeat(store)
        assert host_of(store).standing is Standing.UNANSWERING
        sign()
        wait_until(lambda: host_of(store).standing is Standing.REGISTERED)


def test_below_the_reserve_of_its_disk_a_host_gets_no_new_work_and_says_why(
    store: Store, settings: Settings, make_agent: Callable[..., HostAgent], add_job: Callable[..., JobId]
) -> None:
    number = add_job()
    agent = make_agent(settings=replace(settings, disk_reserve="100"))
    agent.take_over()
    agent.register()
    wait_until(lambda: host_of(store).standing is Standing.DISK_FULL)
    scheduler = Scheduler(store, settings, Dispatcher(settings))
    scheduler.tick()
    with store.reading() as tx:
        reason = jobs.get_job(tx, number).reason
    assert reason == (
        "waits for 1 GPU on one host: gpu01, the largest host that is up, has 0 usable; "
        "the disk of gpu01 has only the reserve left (CNNCTL_DISK_RESERVE)"
    )
    (view,) = list_host_views(store, settings)
    assert (view.alive, view.gpus_free) == (True, 0)
    assert "CNNCTL_DISK_RESERVE" in view.reason
    assert any("nothing new starts there" in notice for notice in check_health(store, settings).notices)
    agent.close()
    agent.stop()
    again = make_agent(agent.worker)
    again.take_over()
    again.register()
    wait_until(lambda: host_of(store).standing is Standing.REGISTERED)
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, number).state is JobState.RUNNING


def test_a_lock_file_proves_the_death_of_the_worker_that_it_names(settings: Settings) -> None:
    first = lock_host(settings)
    assert first.dead_workers == frozenset()
    first.write("an earlier", "one")
    first.write("one")
    with pytest.raises(AlreadyRunning):
        lock_host(settings)
    first.release()
    second = lock_host(settings)
    assert second.dead_workers == {"one"}
    second.release()


def test_attempts_are_heard_while_the_trainers_of_lost_ones_are_killed_all_at_once(
    store: Store, clock: Clock, make_agent: Callable[..., HostAgent], trainers: Sequence[Attempt]
) -> None:
    Held.go.clear()
    agent = make_agent("w1")
    agent.take_over()
    agent.register()
    wait_until(lambda: host_of(store).heartbeat_at is not None)
    *lost, healthy = trainers
    for attempt in lost:
        supervisor = supervisor_of(agent, attempt)
        supervisor._trainer._tree = tree_of(attempt, Held)
        with store.transaction() as tx:
            stored = attempts.get_attempt(tx, attempt.id)
            end_attempt(tx, stored, Outcome.LOST, reason="given up", actor=SCHEDULER, retry_limit=3)
    wait_until(lambda: sum(thread.name == "abandon" for thread in threading.enumerate()) == len(lost))
    for _ in range(2):
        clock.advance(LEASE_SECONDS)
        wait_until(lambda: attempt_of(store, healthy).heartbeat_at == clock.now)
    assert host_of(store).heartbeat_at != clock.now  # it gets no new work before they are gone
    Held.go.set()
    wait_until(lambda: host_of(store).heartbeat_at == clock.now)
    assert [find_start(attempt.trainer_pid or 0) is None for attempt in trainers] == [True, True, False]


def test_left_over_trainers_are_found_by_their_folders_however_many_attempts_have_ended(
    store: Store, trainers: Sequence[Attempt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *gone, left = trainers
    for attempt in gone:
        tree_of(attempt, ProcessTree).kill()
    with store.transaction() as tx:
        for attempt in trainers:
            end_attempt(tx, attempt, Outcome.LOST, reason="given up", actor=SCHEDULER, retry_limit=3)
    (tmp_path / "runs").rename(tmp_path / "moved")
    (tmp_path / "runs").symlink_to(tmp_path / "moved")  # CNNCTL_RUNS_DIR is often a link
    read: list[AttemptId] = []
    to_attempt = attempts._to_attempt

    def note(row: RowMapping) -> Attempt:
        read.append(row["id"])
        return to_attempt(row)

    monkeypatch.setattr(attempts, "_to_attempt", note)
    # Other tests run trainers of jobs with the same numbers, in other folders.
    pids = [attempt.trainer_pid or 0 for attempt in trainers]
    monkeypatch.setattr("workers.attempts.supervisor.list_run_dirs", lambda: list_run_dirs(pids))
    kill_left_over(store, "another-host")
    assert (read, find_start(left.trainer_pid or 0) is None) == ([], False)
    kill_left_over(store, HOST)
    assert (read, find_start(left.trainer_pid or 0) is None) == ([left.id], True)


@pytest.mark.parametrize(
    ("stop_request", "outcome"),
    [(StopRequest.CANCEL, Outcome.CANCELLED), (StopRequest.PAUSE, Outcome.INTERRUPTED)],
)
def test_an_attempt_ends_whose_trainer_no_signal_ends_and_its_gpus_are_quarantined(
    store: Store, settings: Settings, trainers: Sequence[Attempt], stop_request: StopRequest, outcome: Outcome
) -> None:
    attempt = trainers[0]
    supervisor = Supervisor(store, settings, attempt, threads_per_gpu=1)
    supervisor._trainer._tree = tree_of(attempt, Hung)
    supervisor.adopt()
    with store.transaction() as tx:
        attempts.set_stop_request(tx, attempt.id, stop_request)
    supervisor.stop_request = stop_request
    supervisor.follow()
    ended = attempt_of(store, attempt)
    assert (ended.state, ended.outcome) == (AttemptState.ENDED, outcome)
    with store.reading() as tx:
        states = {gpu.number: (gpu.state, gpu.reason) for gpu in hosts.list_gpus(tx)}
    assert states[0][0] is GpuState.QUARANTINED
    assert f"cannot be killed, as happens when the driver hangs: {attempt.trainer_pid}" in states[0][1]
    assert states[1][0] is GpuState.AVAILABLE
    (entry,) = list_audit_views(store, subject=Subject.GPU)
    assert (entry.actor, entry.action, entry.name) == (f"worker {HOST}", "quarantined", f"{HOST}:0")
    assert entry.before == {"state": "available", "reason": ""}
    assert entry.after == {"state": "quarantined", "reason": states[0][1]}


def test_a_trainer_that_stays_after_its_final_event_is_killed_and_its_event_holds(
    store: Store, settings: Settings, trainers: Sequence[Attempt]
) -> None:
    attempt = trainers[0]
    final_event = '{"kind": "ended", "at": 0, "outcome": "succeeded", "reason": ""}\n'
    (Path(attempt.run_dir) / "events.jsonl").write_text(final_event)
    supervisor = Supervisor(store, settings, replace(attempt), threads_per_gpu=1)
    supervisor.adopt()
    supervisor.follow()
    assert attempt_of(store, attempt).outcome is Outcome.SUCCEEDED
    assert find_start(attempt.trainer_pid or 0) is None


@pytest.mark.parametrize("lose", [Path.unlink, lambda log: os.truncate(log, 5)], ids=["removed", "cut short"])
def test_an_attempt_ends_whose_event_log_a_cleaner_of_files_has_taken(
    store: Store, settings: Settings, trainers: Sequence[Attempt], lose: Callable[[Path], None]
) -> None:
    attempt = trainers[0]
    log = Path(attempt.run_dir) / "events.jsonl"
    log.write_text('{"kind": "epoch", "at": 0, "epoch": 3}\n')
    supervisor = Supervisor(store, settings, attempt, threads_per_gpu=1)
    following = threading.Thread(target=supervisor.follow)
    following.start()
    wait_until(lambda: attempt_of(store, attempt).epochs_completed == 3)
    lose(log)
    following.join(60)
    ended = attempt_of(store, attempt)
    assert (ended.outcome, ended.cause) == (Outcome.LOST, Cause.KILLED)
    assert f"the event log in {log.parent} was removed during training" in ended.reason
    assert find_start(attempt.trainer_pid or 0) is None


def test_a_run_folder_that_cannot_be_read_for_a_while_costs_nothing(
    store: Store, settings: Settings, trainers: Sequence[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [OSError(errno.EIO, "Input/output error")]
    ingest = Ingester.ingest

    def fail_first(ingester: Ingester) -> bool:
        if failures:
            raise failures.pop()
        return ingest(ingester)

    monkeypatch.setattr(Ingester, "ingest", fail_first)
    monkeypatch.setattr("workers.attempts.supervisor.PAUSE_SECONDS", 0.0)
    attempt = trainers[0]
    final_event = '{"kind": "ended", "at": 0, "outcome": "succeeded", "reason": ""}\n'
    (Path(attempt.run_dir) / "events.jsonl").write_text(final_event)
    Supervisor(store, settings, attempt, threads_per_gpu=1).follow()
    assert attempt_of(store, attempt).outcome is Outcome.SUCCEEDED
