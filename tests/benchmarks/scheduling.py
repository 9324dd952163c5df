"""The scheduling policy: its speed, and the real jobs of two clusters under it at 80 % load."""

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from service.domain.jobs import JobId
from service.scheduler.policy.planner import plan
from service.scheduler.policy.situation import QueuedJob, RunningJob, Snapshot
from tests.benchmarks.figures import Figure, median_seconds
from tests.benchmarks.simulation.engine import Costs, make_hosts
from tests.benchmarks.simulation.table import IDEAL, OURS, simulate_all
from tests.benchmarks.simulation.trace import Cluster, load, read_trace, stretch

TRACE = "philly.csv"
CLUSTERS = {"11cb48": Cluster(hosts=2, gpus_per_host=8), "ed69ec": Cluster(hosts=1, gpus_per_host=8)}
LOAD = 0.8  # the time between submissions is stretched or shrunk to this
QUEUED, HOSTS, OWNERS = 10_000, 32, 20
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def figures() -> Iterator[Figure]:
    yield _time_pass()
    path = Path(os.environ.get("CNNCTL_DATASETS_DIR", "../shared/data")) / TRACE
    if not path.exists():
        return
    for name, cluster in CLUSTERS.items():
        yield from _simulate(path, name, cluster)


def _time_pass() -> Figure:
    snapshot = make_crowd()
    seconds = median_seconds({"plan": lambda: plan(snapshot, NOW)}, rounds=9)["plan"]
    name = f"plan_of_{QUEUED}_queued_jobs_on_{HOSTS * 8}_gpus"
    return Figure(name=name, ratio=seconds * 1000, unit="ms", goal="at most 100")


def make_crowd() -> Snapshot:
    """A full cluster with a long queue of jobs of all sizes, some of which have run before."""
    hosts = make_hosts(Cluster(hosts=HOSTS, gpus_per_host=8))
    started_at, queued_at = NOW - timedelta(seconds=600), NOW - timedelta(hours=3)
    queued = [
        QueuedJob(
            id=JobId(1000 + number),
            owner=f"user{number % OWNERS}",
            gpus=(1, 1, 2, 4, 8)[number % 5],
            submitted_at=queued_at + timedelta(seconds=number),
            queued_at=queued_at + timedelta(seconds=number),
            attained_gpu_seconds=float(number % 7 * 1000),
            expected_seconds=float(60 + number % 11 * 600),
            gittins_seconds=float(60 + number % 11 * 600),
        )
        for number in range(QUEUED)
    ]
    running = [
        RunningJob(
            id=JobId(host * 8 + index + 1),
            owner=f"user{index}",
            host_name=one.name,
            gpu_uuids=(gpu.uuid,),
            submitted_at=queued_at,
            queued_at=queued_at,
            started_at=started_at,
            attained_gpu_seconds=float(index * 5000),
        )
        for host, one in enumerate(hosts)
        for index, gpu in enumerate(one.gpus)
    ]
    return Snapshot(queued=queued, running=running, hosts=hosts)


def _simulate(path: Path, name: str, cluster: Cluster) -> Iterator[Figure]:
    jobs = read_trace(path, cluster=name, largest=cluster.gpus_per_host)
    jobs = stretch(jobs, times=load(jobs, cluster) / LOAD)
    started = time.perf_counter()
    means: dict[str, float] = {}
    for policy, summary in simulate_all(jobs, cluster, Costs()):
        means[policy] = summary.mean_jct_hours
        if policy == OURS:
            seconds, wait = time.perf_counter() - started, summary.median_wait_seconds
            yield Figure(name=f"simulate_{name}", ratio=seconds, unit="s", goal="at most 120")
            yield Figure(name=f"wait_{name}", ratio=wait, unit="s", goal="at most 60")
        goal = "at most 1.5 times shortest_remaining_first" if policy == OURS else "to compare"
        yield Figure(name=f"jct_{name}_{policy}", ratio=summary.mean_jct_hours, unit="h", goal=goal)
    ratio = means[OURS] / means[IDEAL]
    yield Figure(name=f"jct_{name}_over_all_knowing", ratio=ratio, unit="times", goal="at most 1.5")
