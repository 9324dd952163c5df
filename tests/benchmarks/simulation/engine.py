"""Runs a policy over a trace: from event to event, with a clock of its own."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from service.domain.jobs import JobId
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.situation import Host, HostGpu, Owner, QueuedJob, Snapshot
from service.scheduler.runtime_history import Forecast, RuntimeHistory
from tests.benchmarks.simulation.simulated_job import SimulatedJob
from tests.benchmarks.simulation.trace import Cluster, TraceJob

Policy = Callable[[Snapshot, datetime], Plan]
LEARN = timedelta(minutes=10)  # how often the history is asked again
HALF_LIFE_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What stopping costs: seconds that the GPUs are still held, and seconds before the job goes on again."""

    stop_seconds: float = 1.0
    resume_seconds: float = 2.0


@dataclass(slots=True, kw_only=True)
class Simulation:
    """One policy on one cluster.

    `oracle`: the policy is told the true durations. Else it gets forecasts from the jobs that have finished.
    """

    cluster: Cluster
    policy: Policy
    costs: Costs = field(default_factory=Costs)
    oracle: bool = False
    owners: Mapping[str, Owner] = field(default_factory=dict)
    plans: int = 0
    jobs: dict[JobId, SimulatedJob] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    watch: Callable[[Snapshot, Plan, datetime], None] = lambda snapshot, plan, now: None
    _queue: dict[JobId, QueuedJob] = field(default_factory=dict)
    _running: dict[JobId, SimulatedJob] = field(default_factory=dict)
    _events: list[tuple[datetime, int, Callable[[datetime], None]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)
    _history: RuntimeHistory = field(default_factory=RuntimeHistory)
    _learned_at: datetime | None = None
    _used_at: datetime | None = None

    def run(self, trace: Sequence[TraceJob]) -> Sequence[SimulatedJob]:
        """Simulate until the last job has ended."""
        for job in trace:
            self._at(job.submitted_at, partial(self._submit, job))
        hosts = make_hosts(self.cluster)
        wake_at: datetime | None = None
        while self._events or wake_at:
            now = min(moment for moment in (wake_at, self._events and self._events[0][0]) if moment)
            self._charge(now)
            while self._events and self._events[0][0] <= now:
                heapq.heappop(self._events)[2](now)
            self._learn(now)
            wake_at = self._decide(hosts, now)
        return list(self.jobs.values())

    def _at(self, moment: datetime, action: Callable[[datetime], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), action))

    def _submit(self, job: TraceJob, now: datetime) -> None:
        one = SimulatedJob(job, queued_at=now)
        self.jobs[job.id] = one
        self._enqueue(one, now)

    def _enqueue(self, one: SimulatedJob, now: datetime) -> None:
        one.forecast, one.forecast_at = self._forecast(one, now), now
        self._queue[one.job.id] = one.as_queued()

    def _forecast(self, one: SimulatedJob, now: datetime) -> Forecast | None:
        job, done = one.job, one.worked_seconds(now)
        if self.oracle:
            return Forecast(expected_seconds=job.seconds - done, gittins_seconds=job.seconds - done)
        return self._history.find_forecast(owner=job.owner, gpus=job.gpus, number=job.id, done_seconds=done)

    def _learn(self, now: datetime) -> None:
        """Ask the history again about all jobs, now and then."""
        if self.oracle:
            for one in self._running.values():
                one.forecast, one.forecast_at = self._forecast(one, now), now
        elif self._learned_at is None or now - self._learned_at >= LEARN:
            self._learned_at = now
            for number in self._queue:
                self._enqueue(self.jobs[number], now)
            for one in self._running.values():
                one.forecast, one.forecast_at = self._forecast(one, now), now

    def _charge(self, now: datetime) -> None:
        """Count what the owners' jobs have held since the last time, and let the older use decay."""
        seconds = (now - self._used_at).total_seconds() if self._used_at else 0.0
        self._used_at = now
        decay = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        self.used = {name: used * decay for name, used in self.used.items()}
        for one in self._running.values():
            self.used[one.job.owner] = self.used.get(one.job.owner, 0.0) + seconds * one.job.gpus

    def _decide(self, hosts: Sequence[Host], now: datetime) -> datetime | None:
        snapshot = self._take_snapshot(hosts, now)
        plan = self.policy(snapshot, now)
        self.plans += 1
        self.watch(snapshot, plan, now)
        for placement in plan.placements:
            one = self.jobs[placement.job_id]
            del self._queue[placement.job_id]
            self._running[placement.job_id] = one
            ends_at = one.start(placement, now, resume_seconds=self.costs.resume_seconds)
            self._at(ends_at, partial(self._end, one, one.attempts))
        for preemption in plan.preemptions:
            one = self.jobs[preemption.job_id]
            one.tell_to_stop(now)
            self._at(now + timedelta(seconds=self.costs.stop_seconds), partial(self._give_back, one))
        for waiting in plan.waiting:
            one = self.jobs[waiting.job_id]
            if one.estimated_start_at is None and one.attempts == 0:
                one.estimated_start_at = waiting.estimated_start_at
        return plan.wake_at

    def _take_snapshot(self, hosts: Sequence[Host], now: datetime) -> Snapshot:
        names = {*self.used, *self.owners}
        return Snapshot(
            queued=list(self._queue.values()),
            running=[one.as_running(now) for one in self._running.values()],
            hosts=hosts,
            owners={
                name: replace(self.owners.get(name, Owner()), used_gpu_seconds=self.used.get(name, 0.0))
                for name in names
            },
        )

    def _end(self, one: SimulatedJob, attempt: int, now: datetime) -> None:
        if one.attempts == attempt and one.started_at and not one.stopping:
            one.end(now)
            del self._running[one.job.id]
            if not self.oracle:
                job = one.job
                self._history.add(owner=job.owner, gpus=job.gpus, number=job.id, seconds=job.seconds)

    def _give_back(self, one: SimulatedJob, now: datetime) -> None:
        one.give_back(now)
        del self._running[one.job.id]
        self._enqueue(one, now)


def make_hosts(cluster: Cluster) -> Sequence[Host]:
    """So many hosts, named gpu01, gpu02, …"""
    return [
        Host(
            name=f"gpu{host:02}",
            gpus=tuple(HostGpu(uuid=f"gpu{host:02}-{gpu}") for gpu in range(cluster.gpus_per_host)),
        )
        for host in range(1, cluster.hosts + 1)
    ]
