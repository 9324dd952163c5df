"""Ticks of the scheduler on real databases, with a clock that stands still and a dispatcher that notes."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from service.commands.fleet.health import check_health
from service.dispatch.dispatcher import Dispatcher
from service.domain.jobs import Attempt, AttemptId, JobId, Progress
from service.domain.people import Actor
from service.domain.spec_request import resolve_spec
from service.domain.states import Action, AttemptState, Cause, JobState, Outcome, Standing
from service.liveness import LivenessMonitor
from service.scheduler.loop import FORGET_SECONDS, Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts, leases, schedulers
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.people import audit, request_keys
from service.store.transaction import Store
from tests.conftest import HOST, Clock
from tests.servers import wait_until


class NotingDispatcher(Dispatcher):
    """Sends to the real message folder and notes what was sent."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sent: list[AttemptId] = []

    def send(self, attempt: Attempt, *, host_name: str | None = None) -> None:
        super().send(attempt, host_name=host_name)
        self.sent.append(attempt.id)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"CNNCTL_HOME": str(tmp_path / "home")})


@pytest.fixture
def dispatcher(settings: Settings) -> NotingDispatcher:
    return NotingDispatcher(settings)


class Seconds:
    """A process's own seconds, which move only when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def scheduler(store: Store, settings: Settings, dispatcher: NotingDispatcher, seconds: Seconds) -> Scheduler:
    return Scheduler(store, settings, dispatcher, seconds=seconds)


def ticks(scheduler: Scheduler, seconds: Seconds, *, count: int) -> None:
    """As many ticks, a second apart."""
    for _ in range(count):
        seconds.now += 1
        scheduler.tick()


def live(store: Store) -> list[Attempt]:
    with store.reading() as tx:
        return list(attempts.list_live_attempts(tx))


def test_the_time_of_each_tick_is_stored_by_the_next(
    store: Store, scheduler: Scheduler, seconds: Seconds
) -> None:
    ticks(scheduler, seconds, count=3)
    with store.reading() as tx:
        count, total = schedulers.sum_ticks(tx)
    assert count == 2
    assert 0 < total < 60


def test_a_tick_leases_gpus_and_sends_after_the_commit(
    store: Store,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
    settings: Settings,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host(gpus=2)
    number = add_job(gpus=2)
    scheduler.tick()
    scheduler.tick()
    (attempt,) = live(store)
    assert (attempt.job_id, attempt.state, attempt.host_name) == (number, AttemptState.DISPATCHED, HOST)
    with store.reading() as tx:
        assert leases.list_holders(tx) == {f"{HOST}-0": attempt.id, f"{HOST}-1": attempt.id}
        assert jobs.get_job(tx, number).state is JobState.RUNNING
    assert dispatcher.sent == [attempt.id]
    assert len(list((settings.broker_dir / "messages").iterdir())) == 1


def test_a_job_is_placed_long_before_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
    add_host: Callable[..., None],
) -> None:
    monkeypatch.setattr(Settings, "tick_seconds", 60.0)
    add_host()
    stop = threading.Event()
    running = threading.Thread(target=scheduler.run, args=[stop])
    running.start()
    try:
        wait_until(lambda: has_ticked(store))
        submit(store)
        wait_until(lambda: bool(dispatcher.sent))
    finally:
        stop.set()
        submit(store)  # ends the wait
        running.join()


def has_ticked(store: Store) -> bool:
    with store.reading() as tx:
        return schedulers.find_latest(tx) is not None


def submit(store: Store) -> None:
    with store.transaction() as tx:
        job_id = jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="")
        audit.add_entry(tx, job_id, Action.SUBMITTED, actor=Actor(name="ada"))


def test_what_nobody_claims_is_sent_again(
    store: Store,
    clock: Clock,
    seconds: Seconds,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host()
    add_job()
    scheduler.tick()
    for _ in range(2):
        clock.advance(7)
        ticks(scheduler, seconds, count=7)
    (attempt,) = live(store)
    assert dispatcher.sent == [attempt.id] * 3


def test_a_job_leaves_a_host_that_is_gone_before_it_was_claimed(
    store: Store,
    seconds: Seconds,
    scheduler: Scheduler,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host()
    number = add_job()
    scheduler.tick()
    ticks(scheduler, seconds, count=32)
    with store.reading() as tx:
        (attempt,) = attempts.list_attempts(tx, number)
        job = jobs.get_job(tx, number)
    assert attempt.outcome is Outcome.INTERRUPTED
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 0)
    assert "no worker is running" in job.reason


def test_a_silent_workers_attempt_is_lost_but_not_before_workers_could_be_heard(
    store: Store, clock: Clock, seconds: Seconds, scheduler: Scheduler, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    clock.advance(3600)  # the heartbeat is old when the scheduler starts
    ticks(scheduler, seconds, count=30)
    assert [a.id for a in live(store)] == [attempt.id]
    ticks(scheduler, seconds, count=2)
    with store.reading() as tx:
        job = jobs.get_job(tx, attempt.job_id)
        (ended,) = attempts.list_attempts(tx, attempt.job_id)
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)
    assert (ended.outcome, ended.cause) == (Outcome.LOST, Cause.LOST_HOST)


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_jumps_makes_nobody_lost(
    store: Store,
    clock: Clock,
    seconds: Seconds,
    scheduler: Scheduler,
    claimed: Callable[..., Attempt],
    add_job: Callable[..., JobId],
    jump: float,
) -> None:
    attempt = claimed()
    for second in range(60):
        clock.advance(jump if second == 20 else 1)
        if second % 5 == 0:
            with store.transaction() as tx:
                attempts.heartbeat(tx, [attempt.id], worker="w1")
                hosts.heartbeat(tx, HOST, worker="w1")
        ticks(scheduler, seconds, count=1)
        if second == 20:
            number = add_job()
    with store.reading() as tx:
        assert attempts.get_attempt(tx, attempt.id).state is AttemptState.STARTING
        assert len(attempts.list_attempts(tx, number)) == 1


def test_after_an_outage_hosts_are_heard_until_they_fall_silent(clock: Clock, seconds: Seconds) -> None:
    hearing = LivenessMonitor(30, pause_seconds=15, clock=seconds)
    heartbeats = {HOST: clock.now}
    assert not hearing.list_silent(heartbeats, now=clock.now)
    seconds.now += 60
    clock.advance(60)
    assert not hearing.list_silent(heartbeats, now=clock.now)
    assert hearing.list_silent({**heartbeats, "never heard": heartbeats[HOST]}, now=clock.now) == {
        "never heard"
    }


def test_an_outage_gives_every_worker_its_whole_lease_again(
    store: Store, seconds: Seconds, scheduler: Scheduler, claimed: Callable[..., Attempt]
) -> None:
    attempt = claimed()
    ticks(scheduler, seconds, count=20)
    seconds.now += 60
    ticks(scheduler, seconds, count=30)
    assert [a.id for a in live(store)] == [attempt.id]
    ticks(scheduler, seconds, count=2)
    assert live(store) == []


@pytest.fixture
def sent_job(add_host: Callable[..., None], add_job: Callable[..., JobId], scheduler: Scheduler) -> JobId:
    """A job that was sent to the larger of two hosts, whose worker has not read it."""
    add_host()
    add_host("gpu02", worker="w2", gpus=1)
    number = add_job(gpus=2)
    scheduler.tick()
    return number


def alive_ticks(store: Store, scheduler: Scheduler, seconds: Seconds, clock: Clock, *, count: int) -> None:
    """As many ticks, with a heartbeat of both hosts before each."""
    for _ in range(count):
        clock.advance(1)
        with store.transaction() as tx:
            assert hosts.heartbeat(tx, HOST, worker="w1")
            assert hosts.heartbeat(tx, "gpu02", worker="w2")
        ticks(scheduler, seconds, count=1)


def test_a_host_that_is_heard_and_takes_no_messages_gets_no_work_until_it_registers_again(
    store: Store,
    clock: Clock,
    seconds: Seconds,
    settings: Settings,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
    add_host: Callable[..., None],
    sent_job: JobId,
) -> None:
    alive_ticks(store, scheduler, seconds, clock, count=18)
    (attempt,) = live(store)
    assert dispatcher.sent == [attempt.id] * 3  # a tick later than each 5 s
    alive_ticks(store, scheduler, seconds, clock, count=4)
    assert live(store) == []
    with store.reading() as tx:
        (ended,) = attempts.list_attempts(tx, sent_job)
        job = jobs.get_job(tx, sent_job)
        (host,) = [host for host in hosts.list_hosts(tx) if host.name == HOST]
    assert (ended.outcome, job.state, job.lost_attempts) == (Outcome.INTERRUPTED, JobState.QUEUED, 0)
    assert ended.reason == f"the worker on {HOST} is alive but takes no messages"
    assert (host.standing, host.heartbeat_at) == (Standing.UNANSWERING, None)
    health = check_health(store, settings)
    assert health.hosts == ["gpu02"]
    assert f"The worker of {HOST} is alive but takes no messages" in health.notices[-1]
    with store.transaction() as tx:
        small = jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="")
    alive_ticks(store, scheduler, seconds, clock, count=1)
    assert [(one.job_id, one.host_name) for one in live(store)] == [(small, "gpu02")]
    alive_ticks(store, scheduler, seconds, clock, count=40)
    assert dispatcher.sent.count(attempt.id) in (5, 6)  # each 30 s: one that arrives brings the host back
    add_host()
    alive_ticks(store, scheduler, seconds, clock, count=1)
    assert sent_job in [one.job_id for one in live(store)]


@pytest.mark.usefixtures("sent_job")
def test_a_worker_that_starts_has_the_whole_time_to_read_what_was_sent_to_the_one_before(
    store: Store,
    clock: Clock,
    seconds: Seconds,
    scheduler: Scheduler,
    add_host: Callable[..., None],
) -> None:
    alive_ticks(store, scheduler, seconds, clock, count=20)
    (attempt,) = live(store)
    add_host(worker="w3")
    ticks(scheduler, seconds, count=15)
    assert [one.id for one in live(store)] == [attempt.id]


@pytest.mark.usefixtures("sent_job")
def test_a_broker_that_is_away_makes_no_host_unanswering(
    store: Store,
    clock: Clock,
    seconds: Seconds,
    scheduler: Scheduler,
    dispatcher: NotingDispatcher,
) -> None:
    alive_ticks(store, scheduler, seconds, clock, count=15)
    dispatcher.error = "Connection refused"
    alive_ticks(store, scheduler, seconds, clock, count=60)
    dispatcher.error = ""
    alive_ticks(store, scheduler, seconds, clock, count=20)
    assert len(live(store)) == 1
    alive_ticks(store, scheduler, seconds, clock, count=2)
    assert live(store) == []


def test_two_schedulers_at_once_make_one_attempt_a_job(
    store: Store, settings: Settings, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    add_host(gpus=6)
    numbers = [add_job() for _ in range(6)]
    dispatchers = [NotingDispatcher(settings) for _ in range(3)]
    ticking = [
        threading.Thread(target=Scheduler(store, settings, dispatcher).tick) for dispatcher in dispatchers
    ]
    for thread in ticking:
        thread.start()
    for thread in ticking:
        thread.join()
    Scheduler(store, settings, dispatchers[0]).tick()
    assert sorted(a.job_id for a in live(store)) == numbers
    assert sorted(sent for d in dispatchers for sent in d.sent) == sorted(a.id for a in live(store))


def test_a_waiting_job_is_told_when_it_will_start_by_the_pace_of_those_before_it(
    store: Store,
    clock: Clock,
    seconds: Seconds,
    scheduler: Scheduler,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
) -> None:
    add_host(gpus=1)
    first, second = add_job(), add_job()
    scheduler.tick()
    train(store, first, to_step=0)
    clock.advance(20)
    train(store, first, to_step=100)
    seconds.now += 1
    scheduler.tick()
    with store.reading() as tx:
        waiting = jobs.get_job(tx, second)
    assert waiting.reason == f"waits for 1 GPU on one host: 0 free on {HOST}; first in line"
    assert waiting.estimated_start_at == clock.now + timedelta(seconds=180)
    train(store, first, to_step=101)  # that is a hundredth of the way: too little to speak of
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, second).estimated_start_at == waiting.estimated_start_at
        end_attempt(tx, live(store)[0], Outcome.SUCCEEDED, reason="", actor=Actor(name="test"), retry_limit=0)
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, second).estimated_start_at is None


def train(store: Store, job_id: JobId, *, to_step: int) -> None:
    """Let a job's attempt come so far, of a thousand steps."""
    with store.transaction() as tx:
        attempt = attempts.find_live_attempt(tx, job_id)
        assert attempt
        if attempt.state is AttemptState.DISPATCHED:
            attempt = attempts.claim(tx, attempt.id, worker="w1", host_name=HOST, runs_dir="/runs")
            assert attempt
            attempts.set_running_if_starting(tx, attempt, start_step=to_step)
        progress = Progress(
            epoch=0,
            epochs=10,
            step=to_step,
            steps_per_epoch=100,
            images_per_second=1.0,
            loss=None,
            accuracy=None,
        )
        attempts.write_progress(tx, attempt, progress)


def test_keys_that_nobody_sends_again_are_forgotten_and_newer_ones_stay(
    store: Store, scheduler: Scheduler, seconds: Seconds, clock: Clock
) -> None:
    def take(key: str) -> str | None:
        with store.transaction() as tx:
            answer = request_keys.take_key(tx, "ada", key, digest="d")
            if answer is None:
                request_keys.set_answer(tx, "ada", key, "done")
        return answer

    take("old")
    clock.advance(23 * 3600)
    take("new")
    scheduler.tick()
    assert (take("old"), take("new")) == ("done", "done")
    clock.advance(2 * 3600)
    seconds.now += FORGET_SECONDS
    scheduler.tick()
    assert (take("old"), take("new")) == (None, "done")
