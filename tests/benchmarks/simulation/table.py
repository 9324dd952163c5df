"""Runs all policies over one trace and sums up what became of its jobs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from service.scheduler.policy.planner import plan
from tests.benchmarks.simulation import rivals
from tests.benchmarks.simulation.engine import Costs, Policy, Simulation
from tests.benchmarks.simulation.simulated_job import SimulatedJob
from tests.benchmarks.simulation.trace import Cluster, TraceJob

HOUR_SECONDS = 3_600.0
NOTABLE_SECONDS = 60.0
OURS = "cnnctl"
IDEAL = "shortest_remaining_first"
RIVALS: Mapping[str, Policy] = {
    "first_come": rivals.plan_first_come,
    "first_fit": rivals.plan_first_fit,
    "easy": rivals.plan_easy,
    "shortest_first": rivals.plan_shortest_first,
    IDEAL: rivals.plan_shortest_remaining_first,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a policy made of a trace.

    The error of the estimates is that of the first guess that a job got of its first start, over jobs that
    waited for at least a minute: in seconds, and in percent of the time that they waited.
    """

    mean_jct_hours: float
    p95_jct_hours: float
    median_wait_seconds: float
    preemptions: int
    resume_overhead_percent: float
    estimates: int
    median_estimate_error_seconds: float | None
    median_estimate_error_percent: float | None


def simulate_all(
    jobs: Sequence[TraceJob], cluster: Cluster, costs: Costs, names: Sequence[str] = ()
) -> Iterator[tuple[str, Summary]]:
    """Ours first, then those that know all durations."""
    for name, policy in {OURS: plan, **RIVALS}.items():
        if not names or name in names:
            simulation = Simulation(cluster=cluster, policy=policy, costs=costs, oracle=name != OURS)
            yield name, summarize(simulation.run(jobs), costs)


def summarize(jobs: Sequence[SimulatedJob], costs: Costs) -> Summary:
    hours = sorted(job.response_seconds / HOUR_SECONDS for job in jobs)
    preemptions = sum(job.preemptions for job in jobs)
    work = sum(job.job.seconds * job.job.gpus for job in jobs)
    lost = sum(job.preemptions * job.job.gpus for job in jobs) * (costs.stop_seconds + costs.resume_seconds)
    guessed = [job for job in jobs if job.estimated_start_at and job.wait_seconds >= NOTABLE_SECONDS]
    errors = [_estimate_error_seconds(job) for job in guessed]
    parts = [100 * error / job.wait_seconds for error, job in zip(errors, guessed, strict=True)]
    return Summary(
        mean_jct_hours=mean(hours),
        p95_jct_hours=hours[int(0.95 * len(hours))],
        median_wait_seconds=median(job.wait_seconds for job in jobs),
        preemptions=preemptions,
        resume_overhead_percent=100 * lost / work,
        estimates=len(errors),
        median_estimate_error_seconds=median(errors) if errors else None,
        median_estimate_error_percent=median(parts) if parts else None,
    )


def _estimate_error_seconds(job: SimulatedJob) -> float:
    assert job.estimated_start_at
    assert job.first_start_at
    return abs((job.first_start_at - job.estimated_start_at).total_seconds())
