"""The members of an attempt over two hosts in SQL, as scheduler and workers change them."""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from service.dispatch.dispatcher import Dispatcher
from service.domain.jobs import Attempt, AttemptId, JobId, Member
from service.domain.people import SCHEDULER
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import AttemptState, Cause, JobState, Outcome, Standing
from service.errors import Fenced
from service.process import find_start
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts, leases
from service.store.jobs import attempts, jobs, members
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import Clock
from workers.host_agent import HostAgent
from workers.process_tree import MARK

HOSTS = ("a", "b")


class NotingDispatcher(Dispatcher):
    """Notes to which host an attempt was sent."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sent: list[tuple[AttemptId, str]] = []

    def send(self, attempt: Attempt, *, host_name: str | None = None) -> None:
        self.sent.append((attempt.id, host_name or attempt.host_name))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"CNNCTL_HOME": str(tmp_path / "home"), "CNNCTL_LEASE_SECONDS": "12"})


@pytest.fixture
def dispatcher(settings: Settings) -> NotingDispatcher:
    return NotingDispatcher(settings)


@pytest.fixture
def scheduler(store: Store, clock: Clock, settings: Settings, dispatcher: NotingDispatcher) -> Scheduler:
    return Scheduler(store, settings, dispatcher, seconds=lambda: clock.now.timestamp())


@pytest.fixture
def placed(store: Store, scheduler: Scheduler, add_host: Callable[..., None]) -> Attempt:
    """The dispatched attempt of a job over hosts a and b."""
    for name in HOSTS:
        add_host(name, gpus=2, worker=f"worker-{name}")
    with store.transaction() as tx:
        spec = resolve_spec("lenet5", {"resources.gpus": 4})
        jobs.create_job(tx, spec, owner="ada", reason="", scheduling=SchedulingOptions(hosts=2))
    scheduler.tick()
    with store.reading() as tx:
        (attempt,) = attempts.list_live_attempts(tx)
    return attempt


def claim_all(store: Store, attempt: Attempt, *, runs_dir: str = "/runs") -> Attempt:
    """As the workers of both hosts do."""
    with store.transaction() as tx:
        taken = attempts.claim(tx, attempt.id, worker="worker-a", host_name="a", runs_dir=runs_dir)
        for name in HOSTS:
            address = f"{name}:1"
            claim = partial(members.claim_member, tx, attempt.id, host_name=name, address=address)
            assert claim(chief=name == "a", worker=f"worker-{name}")
    assert taken
    return taken


def test_one_tick_leases_the_gpus_of_both_hosts_to_one_attempt_and_tells_both(
    store: Store, placed: Attempt, dispatcher: NotingDispatcher
) -> None:
    with store.reading() as tx:
        assert [member.host_name for member in members.list_members(tx, placed.id)] == list(HOSTS)
        for name in HOSTS:
            own = leases.list_leased_gpus(tx, placed.id, host_name=name)
            assert [gpu.uuid for gpu in own] == [f"{name}-0", f"{name}-1"]
        assert len(leases.list_holders(tx)) == 4
    assert dispatcher.sent == [(placed.id, name) for name in HOSTS]


def test_a_part_is_claimed_once_and_only_by_its_host(store: Store, placed: Attempt) -> None:
    with store.transaction() as tx:
        claim = partial(members.claim_member, tx, placed.id, address="b:1")
        assert claim(host_name="a", chief=False, worker="w") is None
        member = claim(host_name="b", chief=False, worker="w")
        assert member
        assert (member.rank, member.address, member.worker) == (1, "b:1", "w")
        assert claim(host_name="b", chief=False, worker="late") is None
        assert claim(host_name="b", chief=False, worker="w") is None


def test_a_chief_whose_commit_was_not_answered_takes_its_part_again_and_nobody_else_does(
    store: Store, placed: Attempt
) -> None:
    with store.transaction() as tx:
        claim = partial(members.claim_member, tx, placed.id, host_name="a", chief=True)
        assert claim(worker="chief-1", address="a:1")
        again = claim(worker="chief-1", address="a:2")
        assert again
        assert again.address == "a:2"
        assert claim(worker="chief-2", address="a:3") is None


def test_a_part_that_has_ended_is_written_no_more(store: Store, placed: Attempt) -> None:
    with store.transaction() as tx:
        member = members.claim_member(tx, placed.id, host_name="b", chief=False, worker="w", address="b:1")
        assert member
        members.end_member(tx, member, Outcome.LOST, cause=Cause.KILLED, reason="killed by signal 9")
        with pytest.raises(Fenced):
            members.write(tx, member, heartbeat_at=tx.now)


def test_a_part_that_nobody_takes_is_sent_again(
    store: Store, clock: Clock, scheduler: Scheduler, placed: Attempt, dispatcher: NotingDispatcher
) -> None:
    with store.transaction() as tx:
        attempts.claim(tx, placed.id, worker="worker-a", host_name="a", runs_dir="/runs")
    for _ in range(7):
        clock.advance(1)
        scheduler.tick()
    assert dispatcher.sent[2:] == [(placed.id, "b")]


def test_a_host_that_never_takes_its_part_counts_as_silent_before_the_chief_gives_up(
    store: Store, clock: Clock, settings: Settings, dispatcher: NotingDispatcher, placed: Attempt
) -> None:
    roomy = dataclasses.replace(settings, resend="2")
    scheduler = Scheduler(store, roomy, dispatcher, seconds=lambda: clock.now.timestamp())
    with store.transaction() as tx:
        attempts.claim(tx, placed.id, worker="worker-a", host_name="a", runs_dir="/runs")
    for _ in range(11):
        clock.advance(1)
        with store.transaction() as tx:
            attempts.heartbeat(tx, [placed.id], worker="worker-a")
            assert all(hosts.heartbeat(tx, name, worker=f"worker-{name}") for name in HOSTS)
        scheduler.tick()
    with store.reading() as tx:
        standings = [host.standing for host in hosts.list_hosts(tx)]
    assert standings == [Standing.REGISTERED, Standing.UNANSWERING]
    assert state_of(store, placed) is AttemptState.STARTING


def test_an_attempt_whose_chief_is_silent_is_given_up_only_when_the_other_host_has_stopped(
    store: Store, clock: Clock, scheduler: Scheduler, placed: Attempt
) -> None:
    attempt = claim_all(store, placed)
    scheduler.tick()
    for _ in range(20):
        clock.advance(1)
        with store.transaction() as tx:
            member = members.list_members(tx, attempt.id)[1]
            members.write(tx, member, heartbeat_at=tx.now)
        scheduler.tick()
    assert state_of(store, attempt) is AttemptState.STARTING
    with store.transaction() as tx:
        members.end_member(tx, member, Outcome.LOST, cause=Cause.KILLED, reason="killed")
    scheduler.tick()
    assert state_of(store, attempt) is AttemptState.ENDED
    with store.reading() as tx:
        assert leases.list_holders(tx) == {}
        assert jobs.get_job(tx, JobId(attempt.job_id)).state is JobState.QUEUED


def test_a_clock_that_jumps_neither_ends_an_attempt_whose_other_host_is_heard_nor_sends_its_part_again(
    store: Store, clock: Clock, settings: Settings, dispatcher: NotingDispatcher, placed: Attempt
) -> None:
    own = Clock()
    scheduler = Scheduler(store, settings, dispatcher, seconds=lambda: own.now.timestamp())
    scheduler.tick()
    clock.advance(3600)
    scheduler.tick()
    assert len(dispatcher.sent) == len(HOSTS)
    attempt = claim_all(store, placed)
    for _ in range(20):
        with store.transaction() as tx:
            members.heartbeat(tx, [attempt.id], worker="worker-b")
        own.advance(1)
        clock.advance(3600)
        scheduler.tick()
    assert state_of(store, attempt) is AttemptState.STARTING


def test_two_silent_hosts_are_given_up_after_the_lease(
    store: Store, clock: Clock, scheduler: Scheduler, placed: Attempt
) -> None:
    attempt = claim_all(store, placed)
    scheduler.tick()
    for _ in range(14):
        clock.now += timedelta(seconds=1)
        scheduler.tick()
    assert state_of(store, attempt) is AttemptState.ENDED


class HeldStarter:
    """Has a trainer under way for as long as nobody sets `go`, and then no process for it."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def start(self, run_dir: Path) -> BaseProcess:
        self.asked.set()
        self.go.wait(60)
        raise OSError(f"no process for {run_dir}")


@pytest.fixture
def starter() -> Iterator[HeldStarter]:
    starter = HeldStarter()
    yield starter
    starter.go.set()


@pytest.fixture
def agent(store: Store, starter: HeldStarter, tmp_path: Path) -> Iterator[HostAgent]:
    """The worker of host b, which has not begun."""
    times = {"CNNCTL_HEARTBEAT_SECONDS": "0.02", "CNNCTL_LEASE_SECONDS": "60"}
    folders = {"CNNCTL_HOME": str(tmp_path / "home"), "CNNCTL_RUNS_DIR": str(tmp_path / "runs")}
    named = {**folders, "CNNCTL_HOST": "b", "CNNCTL_GPUS": "sim:2"}
    before = set(threading.enumerate())
    settings = load_settings({**times, **named})
    agent = HostAgent(store, settings, starter, dead_workers={"worker-b"})  # type: ignore[arg-type]
    yield agent
    starter.go.set()
    agent.stop()
    # Or one would have a connection of a closed store; the heartbeat's first, which starts others.
    for names in (("heartbeat",), ()):
        for thread in set(threading.enumerate()) - before:
            if not names or thread.name in names:
                thread.join(60)


def test_a_part_is_heard_whatever_keeps_its_supervisor_until_it_has_ended(
    store: Store, clock: Clock, placed: Attempt, agent: HostAgent, starter: HeldStarter, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with store.transaction() as tx:
        attempt = attempts.claim(tx, placed.id, worker="worker-a", host_name="a", runs_dir=str(runs))
        members.claim_member(tx, placed.id, host_name="a", chief=True, worker="worker-a", address="a:1")
    assert attempt
    Path(attempt.run_dir).mkdir(parents=True)
    agent.take_over()
    following = threading.Thread(target=agent.run_attempt, args=(placed.id,))
    following.start()
    assert starter.asked.wait(60)
    clock.advance(5)
    wait_until(lambda: member_of(store, placed).heartbeat_at == clock.now)
    starter.go.set()
    following.join(60)
    assert member_of(store, placed).ended_at == clock.now


@pytest.fixture
def left_trainer(
    store: Store, placed: Attempt, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator["subprocess.Popen[bytes]"]:
    """What an earlier worker of host b has started, for a chief that is there; by default in `runs`."""
    runs_dir = tmp_path / getattr(request, "param", "runs")
    folder = runs_dir / str(placed.job_id) / "1" / "member-1"
    folder.mkdir(parents=True)
    claim_all(store, placed, runs_dir=str(runs_dir))
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    trainer = subprocess.Popen(words, env={**os.environ, MARK: str(folder)}, start_new_session=True)
    with store.transaction() as tx:
        member = members.list_members(tx, placed.id)[1]
        members.write(tx, member, trainer_pid=trainer.pid, trainer_started=find_start(trainer.pid))
    yield trainer
    trainer.kill()
    trainer.wait()


def test_a_worker_that_comes_back_follows_the_trainer_of_its_part_to_its_end(
    store: Store, placed: Attempt, agent: HostAgent, left_trainer: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    agent.take_over()
    wait_until(lambda: any(tmp_path.glob("runs/*/*/member-1/lease")))
    assert left_trainer.poll() is None
    assert member_of(store, placed).worker == agent.worker
    left_trainer.kill()
    wait_until(lambda: member_of(store, placed).ended_at is not None)
    assert member_of(store, placed).reason == "the trainer had died when its worker came back"


@pytest.mark.parametrize("left_trainer", ["runs", "runs-of-earlier-settings"], indirect=True)
def test_the_trainer_of_a_part_of_an_ended_attempt_is_gone_before_its_host_takes_new_work(
    store: Store, placed: Attempt, agent: HostAgent, left_trainer: "subprocess.Popen[bytes]"
) -> None:
    with store.transaction() as tx:
        attempt = attempts.get_attempt(tx, placed.id)
        end_attempt(tx, attempt, Outcome.LOST, reason="given up", actor=SCHEDULER, retry_limit=3)
    agent.take_over()
    assert left_trainer.poll() is not None
    assert member_of(store, placed).outcome is Outcome.LOST


def test_a_part_whose_trainer_was_never_started_counts_as_no_loss_when_its_worker_comes_back(
    store: Store, placed: Attempt, agent: HostAgent, tmp_path: Path
) -> None:
    claim_all(store, placed, runs_dir=str(tmp_path / "runs"))
    agent.take_over()
    wait_until(lambda: member_of(store, placed).ended_at is not None)
    assert (member_of(store, placed).outcome, member_of(store, placed).reason) == (
        Outcome.INTERRUPTED,
        "not started",
    )


def test_a_host_that_was_cut_off_is_heard_again_when_the_trainer_of_its_lost_part_is_gone(
    store: Store,
    clock: Clock,
    placed: Attempt,
    agent: HostAgent,
    left_trainer: "subprocess.Popen[bytes]",
    tmp_path: Path,
) -> None:
    agent.take_over()
    agent.register()
    wait_until(lambda: any(tmp_path.glob("runs/*/*/member-1/lease")))
    with store.transaction() as tx:
        attempt = attempts.get_attempt(tx, placed.id)
        end_attempt(tx, attempt, Outcome.LOST, reason="given up", actor=SCHEDULER, retry_limit=3)
    for _ in range(2):  # the first of these heartbeats may have begun before the attempt ended
        clock.advance(1)
        wait_until(lambda: last_alive(store, "b") == clock.now)
    assert left_trainer.poll() is not None


def last_alive(store: Store, name: str) -> datetime | None:
    with store.reading() as tx:
        return next(host.heartbeat_at for host in hosts.list_hosts(tx) if host.name == name)


def wait_until(holds: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline


def member_of(store: Store, attempt: Attempt) -> Member:
    """Host b's member."""
    with store.reading() as tx:
        return members.list_members(tx, attempt.id)[1]


def state_of(store: Store, attempt: Attempt) -> AttemptState:
    with store.reading() as tx:
        return attempts.get_attempt(tx, attempt.id).state
