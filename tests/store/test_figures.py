"""The figures that are watched over are right, bounded, and made by few queries."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event

from service.commands.jobs.control import RESUME_REASON, RETRY_REASON
from service.commands.ops.figures import KEPT_SECONDS, MOST_OWNERS, WAIT_BOUNDS, FigureReader, Figures, Total
from service.domain.gpus import Gpu, Reading
from service.domain.jobs import Attempt, JobId, Waiting
from service.domain.metrics import STALL, Point
from service.domain.people import SCHEDULER
from service.domain.states import JobState, Outcome
from service.scheduler.policy import wait_classes
from service.scheduler.policy.planner import plan
from service.scheduler.policy.situation import Host, HostGpu, Owner
from service.settings import load_settings
from service.store.fleet import hosts, readings, schedulers
from service.store.jobs import attempts, jobs, metrics, stop_requests
from service.store.jobs.endings import PREEMPTED_WAITS, end_attempt
from service.store.jobs.jobs import WAITS_FOR_SCHEDULER
from service.store.transaction import Store
from tests.conftest import HOST, Clock
from tests.unit.policy_cases import NOW, host, queue, queued, running, snapshot

SETTINGS = load_settings({"CNNCTL_HOME": "/nowhere"})
Claim = Callable[..., Attempt]
Add = Callable[..., JobId]


class Seconds:
    """The time of this process, which moves only when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def read(store: Store) -> Figures:
    return FigureReader(store, SETTINGS).read()


def start(store: Store, attempt: Attempt, *, exact: bool = True) -> None:
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0, exact=exact)


def end(store: Store, attempt: Attempt, outcome: Outcome) -> None:
    with store.transaction() as tx:
        assert end_attempt(tx, attempt, outcome, reason="", actor=SCHEDULER, retry_limit=3)


def within(figures: Figures, seconds: float) -> int:
    """How many jobs waited at most this long, one of the bounds."""
    return figures.sums.waits.within[WAIT_BOUNDS.index(int(seconds))]


def test_a_service_without_jobs_has_figures(store: Store) -> None:
    figures = read(store)
    assert set(figures.jobs.values()) == set(figures.queued.values()) == {0}
    assert (figures.scheduler, figures.hosts, list(figures.gpus)) == (False, {}, [])
    assert (figures.sums.gpu_seconds, figures.sums.waits.seconds) == ({}, 0)


def test_jobs_are_counted_by_state(store: Store, add_job: Add, claimed: Claim) -> None:
    ended = claimed()
    end(store, ended, Outcome.SUCCEEDED)
    claimed()
    add_job()
    paused = add_job()
    with store.transaction() as tx:
        jobs.set_state_if(tx, paused, JobState.QUEUED, JobState.PAUSED, reason="")
    found = {state: count for state, count in read(store).jobs.items() if count}
    assert found == {"succeeded": 1, "running": 1, "queued": 1, "paused": 1}


def test_a_wait_is_from_the_submission_to_the_first_step_and_counts_once(
    store: Store, clock: Clock, add_job: Add, claimed: Claim
) -> None:
    job = add_job()
    clock.advance(50)
    first = claimed(job)
    assert read(store).sums.waits.within[-1] == 0  # it has no step yet
    clock.advance(10)
    start(store, first)
    end(store, first, Outcome.INTERRUPTED)
    clock.advance(5000)
    start(store, claimed(job))
    end(store, claimed(gpu=f"{HOST}-1"), Outcome.FAILED)  # before its first step
    figures = read(store)
    assert (within(figures, 15), within(figures, 60), figures.sums.waits.within[-1]) == (0, 1, 1)
    assert figures.sums.waits.seconds == pytest.approx(60, abs=0.01)


def test_a_wait_beyond_the_last_bound_is_in_the_count_alone(
    store: Store, clock: Clock, add_job: Add, claimed: Claim
) -> None:
    job = add_job()
    clock.advance(8 * 86400)
    start(store, claimed(job))
    assert list(read(store).sums.waits.within) == [0] * len(WAIT_BOUNDS) + [1]


def test_a_clock_that_was_set_back_makes_no_time_negative(store: Store, clock: Clock, claimed: Claim) -> None:
    attempt = claimed()
    clock.advance(-500)
    start(store, attempt)
    end(store, attempt, Outcome.SUCCEEDED)
    sums = read(store).sums
    assert (sums.waits.seconds, sums.waits.within[0], sums.gpu_seconds) == (0, 1, {"ada": 0})


def test_gpu_time_counts_by_person_and_until_now(
    store: Store, clock: Clock, add_job: Add, claimed: Claim
) -> None:
    attempt = claimed()
    claimed(add_job(owner="grace"), gpu=f"{HOST}-1")
    clock.advance(3600)
    end(store, attempt, Outcome.SUCCEEDED)
    clock.advance(1800)
    assert read(store).sums.gpu_seconds == pytest.approx({"ada": 3600, "grace": 5400}, abs=0.01)


def test_sums_are_kept_for_a_while_and_counts_are_not(
    store: Store, clock: Clock, add_job: Add, claimed: Claim
) -> None:
    seconds = Seconds()
    reader = FigureReader(store, SETTINGS, seconds=seconds)
    claimed()
    before = reader.read()
    clock.advance(60)
    add_job()
    soon = reader.read()
    assert (soon.sums, soon.jobs["queued"]) == (before.sums, 1)
    seconds.now = KEPT_SECONDS
    assert reader.read().sums.gpu_seconds == pytest.approx({"ada": 60}, abs=0.01)


def hold(store: Store, clock: Clock, claimed: Claim, job: JobId, *, seconds: float) -> None:
    attempt = claimed(job)
    clock.advance(seconds)
    end(store, attempt, Outcome.SUCCEEDED)


def test_a_hundred_people_are_named_and_the_others_are_one(
    store: Store, clock: Clock, add_job: Add, claimed: Claim
) -> None:
    for number in range(1, MOST_OWNERS + 2):
        hold(store, clock, claimed, add_job(owner=f"p{number}"), seconds=number)
    hold(store, clock, claimed, add_job(owner="other"), seconds=1000)  # a person of that very name
    seconds = Seconds()
    reader = FigureReader(store, SETTINGS, seconds=seconds)
    found = reader.read().sums.gpu_seconds
    assert len(found) == MOST_OWNERS + 1
    assert "p1" not in found
    assert found["other"] == pytest.approx(1001, abs=0.01)
    assert found["p2"] == pytest.approx(2, abs=0.01)
    hold(store, clock, claimed, add_job(owner="p1"), seconds=5000)
    seconds.now = KEPT_SECONDS
    after = reader.read().sums.gpu_seconds
    assert after.keys() == found.keys()
    assert all(after[owner] >= found[owner] for owner in found)  # or Prometheus would see a restart


def test_gpu_time_never_shrinks(store: Store, clock: Clock, claimed: Claim) -> None:
    seconds = Seconds()
    reader = FigureReader(store, SETTINGS, seconds=seconds)
    attempt = claimed()
    clock.advance(60)
    before = reader.read().sums.gpu_seconds
    clock.advance(-1)  # the end's transaction began before, and was committed after
    end(store, attempt, Outcome.SUCCEEDED)
    seconds.now = KEPT_SECONDS
    assert reader.read().sums.gpu_seconds == before


def test_preemptions_count_for_whose_job_gave_way(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        stop_requests.request_preemption(tx, attempt.job_id, reason="preempted for job 9", actor=SCHEDULER)
    end(store, attempt, Outcome.INTERRUPTED)
    assert read(store).sums.preemptions == {"ada": 1}


def test_stalls_and_inexact_resumes_are_summed_and_lies_are_not(store: Store, claimed: Claim) -> None:
    first, second = claimed(), claimed(gpu=f"{HOST}-1")
    start(store, first, exact=False)
    start(store, second)
    values = [0.25, 0.5, -1.0, 1e308, None, float("inf")]
    with store.transaction() as tx:
        metrics.add_points(tx, first.id, [Point(STALL, step, value) for step, value in enumerate(values)])
        metrics.add_points(tx, second.id, [Point(STALL, 1, 0.25), Point("loss", 1, 7.0)])
    sums = read(store).sums
    assert (sums.stalls, sums.inexact_resumes) == (Total(count=3, seconds=1.0), 1)


def test_ticks_of_all_schedulers_are_summed(store: Store) -> None:
    with store.transaction() as tx:
        for seconds in (None, 0.25, 0.5):
            schedulers.heartbeat(tx, "a:1", pid=1, broker_error="", tick_seconds=seconds)
        schedulers.heartbeat(tx, "b:1", pid=1, broker_error="", tick_seconds=1.0)
    figures = read(store)
    assert (figures.ticks, figures.scheduler) == (Total(count=3, seconds=1.75), True)


def test_hosts_are_alive_within_their_lease_and_old_readings_are_left_out(
    store: Store, clock: Clock, add_host: Callable[..., None]
) -> None:
    device = Gpu(uuid="u", host_name="real", number=3, model="H200", memory_mib=1000, simulated=False)
    with store.transaction() as tx:
        hosts.register_host(tx, "real", worker="w", cores=2, devices=[device])
        hosts.quarantine_gpu(tx, "u", reason="")
        reading = Reading(temperature_celsius=40, utilization_percent=50, memory_used_mib=10)
        readings.set_readings(tx, {"u": reading})
    (gpu,) = read(store).gpus
    assert (gpu.host, gpu.number, gpu.memory_mib) == ("real", 3, 1000)
    assert (gpu.temperature_celsius, gpu.utilization_percent, gpu.memory_used_mib) == (40, 50, 10)
    clock.advance(SETTINGS.lease_seconds + 1)
    add_host()
    figures = read(store)
    assert figures.hosts == {HOST: True, "real": False}
    assert figures.gpu_states == {"available": 2, "drained": 0, "quarantined": 1}
    old = figures.gpus[-1]
    assert (old.memory_mib, old.temperature_celsius, old.memory_used_mib) == (1000, None, None)


SMALL = Host(name="b", gpus=(HostGpu(uuid="b-0", memory_mib=10),))
BUSY = [running(9, "a", [1], held_seconds=5)]
LATE = [running(number, "a", [number - 1], attained_gpu_seconds=10_000.0) for number in (1, 2)]
UNMET = [{JobId(7): state} for state in (JobState.RUNNING, JobState.FAILED, JobState.CANCELLED)]
SITUATIONS = {
    wait_classes.HOST: [snapshot(queue(1), []), snapshot([queued(1, host="c")], [host("a", 1)])],
    wait_classes.CAPACITY: [
        snapshot(queue(4), [host("a", 2)]),
        snapshot([queued(1, 2, gpu_model="h200", host="a")], [host("a", 2, unusable=2)]),
        snapshot([queued(1, 4, hosts=2)], [host("a", 2)]),
        snapshot([queued(1, memory_mib=20)], [SMALL]),
    ],
    wait_classes.GPUS: [
        snapshot(queue(2), [host("a", 2)], running=BUSY),
        snapshot([queued(1, 2, exclusive=True)], [host("a", 2)], running=BUSY),
        snapshot([queued(1, 4, hosts=2)], [host("a", 2), host("b", 2)], running=BUSY),
        snapshot([queued(1, 2, gpu_model="h")], [host("a", 3, unusable=1, model="h")], running=BUSY),
    ],
    wait_classes.DEPENDENCY: [
        *(snapshot([queued(9, unmet=unmet)], [host("a", 1)]) for unmet in UNMET),
        snapshot([queued(9, unmet={**UNMET[0], JobId(8): JobState.QUEUED})], [host("a", 1)]),
    ],
    wait_classes.TIME: [snapshot([queued(1, not_before=NOW + timedelta(hours=1))], [host("a", 1)])],
    wait_classes.QUOTA: [
        snapshot([queued(1, 1)], [host("a", 2)], running=BUSY, owners={"ada": Owner(quota_gpus=1)})
    ],
    wait_classes.STOPPING: [snapshot([queued(7)], [host("a", 2)], running=LATE)],
}
LONG = snapshot(queue(*[2] * 120), [host("a", 2)], running=BUSY)
STORED: Sequence[tuple[str, str]] = [
    *(
        (name, waiting.reason)
        for name, situations in SITUATIONS.items()
        for situation in situations
        for waiting in plan(situation, NOW).waiting
    ),
    *((wait_classes.LINE, why.reason) for why in plan(LONG, NOW).waiting[1:]),
    *((wait_classes.SCHEDULER, reason) for reason in (WAITS_FOR_SCHEDULER, RESUME_REASON, RETRY_REASON)),
    (wait_classes.OTHER, f"preempted for job 1 of ada; {PREEMPTED_WAITS}"),
    (wait_classes.OTHER, ""),
]


def test_what_the_scheduler_and_commands_say_falls_into_the_right_classes(store: Store, add_job: Add) -> None:
    for name, reason in dict.fromkeys(STORED):
        job = add_job()
        with store.transaction() as tx:
            jobs.set_waits(tx, [Waiting(job_id=job, reason=reason)])
        found = {one: count for one, count in read(store).queued.items() if count}
        assert found == {name: 1}, reason
        with store.transaction() as tx:
            jobs.set_state_if(tx, job, JobState.QUEUED, JobState.CANCELLED, reason="")


def test_the_situations_give_every_class() -> None:
    assert {name for name, _ in STORED} == wait_classes.MEANINGS.keys()
    assert {name for _, name in wait_classes.PATTERNS} | {wait_classes.OTHER} == wait_classes.MEANINGS.keys()


@contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    """The statements that a store's database is sent."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(store._engine, "before_cursor_execute", note)
    yield statements
    event.remove(store._engine, "before_cursor_execute", note)


def test_the_number_of_queries_does_not_grow_with_the_jobs(
    store: Store, add_job: Add, claimed: Claim
) -> None:
    claimed()
    with counted(store) as few:
        read(store)
    for _ in range(20):
        add_job()
    with counted(store) as many:
        read(store)
    assert len(few) == len(many) <= 15
