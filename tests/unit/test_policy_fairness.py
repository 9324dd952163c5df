"""Shares, gangs and newcomers over a simulated day."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from service.domain.jobs import JobId
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.planner import plan
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import Owner, Snapshot
from tests.benchmarks.simulation.engine import Simulation
from tests.benchmarks.simulation.trace import Cluster, TraceJob
from tests.unit.policy_cases import NOW

TICK_SECONDS = 30.0


def trace_job(number: int, owner: str, *, seconds: float, at_seconds: float = 0.0, gpus: int = 1) -> TraceJob:
    return TraceJob(
        id=JobId(number),
        submitted_at=NOW + timedelta(seconds=at_seconds),
        seconds=seconds,
        gpus=gpus,
        owner=owner,
    )


def ticking(situation: Snapshot, now: datetime) -> Plan:
    """The plan, looked at again as often as a scheduler does."""
    made = plan(situation, now)
    if not situation.queued:
        return made
    soon = now + timedelta(seconds=TICK_SECONDS)
    return Plan(
        placements=made.placements,
        preemptions=made.preemptions,
        waiting=made.waiting,
        wake_at=min(made.wake_at or soon, soon),
    )


def test_shares_are_within_a_tenth_of_the_weights_while_all_have_work() -> None:
    owners: Mapping[str, Owner] = {
        f"user{n}": Owner(weight=float(weight)) for n, weight in enumerate((1, 1, 2, 2, 4))
    }
    used: dict[str, float] = defaultdict(float)
    last: list[tuple[datetime, Snapshot]] = []

    def watch(situation: Snapshot, made: Plan, now: datetime) -> None:
        if last and {job.owner for job in last[-1][1].queued} == set(owners):
            then, before = last[-1]
            for job in before.running:
                used[job.owner] += job.gpus * (now - then).total_seconds()
        last[:] = [(now, situation)]

    lengths = (120.0, 900.0, 4_000.0, 15_000.0)
    trace = [trace_job(n + 1, f"user{n % 5}", seconds=lengths[(n // 5 + n % 5) % 4]) for n in range(200)]
    Simulation(cluster=Cluster(hosts=1, gpus_per_host=8), policy=ticking, owners=owners, watch=watch).run(
        trace
    )
    assert sum(used.values()) > 8 * 3_600
    for name, owner in owners.items():
        share = used[name] / sum(used.values())
        assert abs(share / (owner.weight / 10) - 1) < 0.1, (name, share)


def test_a_short_job_of_one_user_starts_at_once_among_twelve_long_ones_of_another() -> None:
    long = [trace_job(number, "ada", seconds=40_000.0) for number in range(1, 13)]
    short = trace_job(13, "bob", seconds=30.0, at_seconds=45.0)
    done = Simulation(cluster=Cluster(hosts=1, gpus_per_host=4), policy=ticking).run([*long, short])
    assert done[12].wait_seconds < 5
    assert done[12].response_seconds < 60


def test_a_gang_among_a_stream_of_small_jobs_starts_within_the_first_band() -> None:
    stream = [trace_job(n, "ada", seconds=500.0 + n % 7 * 400, at_seconds=n * 400.0) for n in range(1, 100)]
    gang = trace_job(500, "ada", seconds=600.0, at_seconds=9_000.0, gpus=4)
    done = Simulation(cluster=Cluster(hosts=1, gpus_per_host=4), policy=ticking).run([*stream, gang])
    started = next(job for job in done if job.job.id == 500)
    settings = PolicySettings()
    assert started.wait_seconds <= settings.band_gpu_seconds + settings.quantum_seconds
