"""Other policies on the same snapshots, to compare with; those that need to know durations are told them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from service.scheduler.policy.decisions import Placement, Plan, Preemption
from service.scheduler.policy.situation import QueuedJob, RunningJob, Snapshot

Free = dict[str, list[str]]


def plan_first_come(snapshot: Snapshot, now: datetime) -> Plan:
    """Strictly in the order of submission."""
    return _fill(snapshot, snapshot.queued, strict=True)


def plan_first_fit(snapshot: Snapshot, now: datetime) -> Plan:
    """In the order of submission, passing over those that do not fit."""
    return _fill(snapshot, snapshot.queued)


def plan_shortest_first(snapshot: Snapshot, now: datetime) -> Plan:
    """Shortest first, knowing all durations, without preemption."""
    return _fill(snapshot, sorted(snapshot.queued, key=_remaining))


def plan_easy(snapshot: Snapshot, now: datetime) -> Plan:
    """EASY backfill, knowing all durations: nobody may delay the first that does not fit."""
    free = _free(snapshot)
    placements: list[Placement] = []
    blocked: _Blocked | None = None
    running = [(job.host_name, job.gpus, _remaining(job)) for job in snapshot.running]
    for job in snapshot.queued:
        if not any(free.values()):
            break
        if blocked is None and _best_fit(free, job.gpus) is None:
            blocked = _reserve(free, running, job.gpus)
            continue
        name = _best_fit(free, job.gpus) if blocked is None else blocked.find_host(free, job)
        if name is None:
            continue
        running.append((name, job.gpus, _remaining(job)))
        placements.append(_take(free, job, name))
    return Plan(placements=placements)


def plan_shortest_remaining_first(snapshot: Snapshot, now: datetime) -> Plan:
    """Shortest remaining time first with preemption, knowing all durations: as good as it gets."""
    room = {host.name: len(host.gpus) for host in snapshot.hosts}
    for stopping in (job for job in snapshot.running if job.stopping):
        room[stopping.host_name] -= stopping.gpus
    free = _free(snapshot)
    placements: list[Placement] = []
    kept: set[int] = set()
    active = [one for one in snapshot.running if not one.stopping]
    everybody: list[RunningJob | QueuedJob] = [*active, *snapshot.queued]
    for one in sorted(everybody, key=lambda one: (_remaining(one), one.id)):
        if isinstance(one, RunningJob):
            if room[one.host_name] >= one.gpus:
                room[one.host_name] -= one.gpus
                kept.add(one.id)
            continue
        fitting = [name for name, left in room.items() if left >= one.gpus]
        if not fitting:
            continue
        name = min(fitting, key=lambda name: (len(free[name]) < one.gpus, room[name], name))
        room[name] -= one.gpus
        if len(free[name]) >= one.gpus:
            placements.append(_take(free, one, name))
    return Plan(placements=placements, preemptions=_stop_others(active, kept))


def _stop_others(active: Sequence[RunningJob], kept: set[int]) -> Sequence[Preemption]:
    return [Preemption(job_id=one.id, for_job_id=one.id) for one in active if one.id not in kept]


@dataclass
class _Blocked:
    """The place where the first job that does not fit will: when, and how many GPUs it leaves over there."""

    host: str
    in_seconds: float
    extra: int
    names: list[str] = field(default_factory=list)

    def find_host(self, free: Free, job: QueuedJob) -> str | None:
        fitting = [name for name, left in free.items() if len(left) >= job.gpus and self._may(name, job)]
        name = min(fitting, key=lambda name: (len(free[name]), name), default=None)
        if name == self.host and _remaining(job) > self.in_seconds:
            self.extra -= job.gpus
        return name

    def _may(self, name: str, job: QueuedJob) -> bool:
        return name != self.host or _remaining(job) <= self.in_seconds or job.gpus <= self.extra


def _reserve(free: Free, running: Sequence[tuple[str, int, float]], gpus: int) -> _Blocked:
    places = []
    for name, left in free.items():
        count, moment = len(left), 0.0
        for seconds, freed in sorted((s, g) for host, g, s in running if host == name):
            if count >= gpus:
                break
            count, moment = count + freed, seconds
        places.append((moment if count >= gpus else inf, name, count - gpus))
    moment, name, extra = min(places)
    return _Blocked(host=name, in_seconds=moment, extra=extra)


def _fill(snapshot: Snapshot, order: Sequence[QueuedJob], *, strict: bool = False) -> Plan:
    free = _free(snapshot)
    placements: list[Placement] = []
    for job in order:
        if not any(free.values()):
            break
        name = _best_fit(free, job.gpus)
        if name is not None:
            placements.append(_take(free, job, name))
        elif strict:
            break
    return Plan(placements=placements)


def _free(snapshot: Snapshot) -> Free:
    held = {uuid for job in snapshot.running for uuid in job.gpu_uuids}
    return {host.name: [gpu.uuid for gpu in host.gpus if gpu.uuid not in held] for host in snapshot.hosts}


def _best_fit(free: Free, gpus: int) -> str | None:
    fitting = [name for name, left in free.items() if len(left) >= gpus]
    return min(fitting, key=lambda name: (len(free[name]), name), default=None)


def _take(free: Free, job: QueuedJob, name: str) -> Placement:
    taken, free[name] = free[name][: job.gpus], free[name][job.gpus :]
    return Placement(job_id=job.id, host_name=name, gpu_uuids=tuple(taken))


def _remaining(job: QueuedJob | RunningJob) -> float:
    assert job.expected_seconds is not None
    return job.expected_seconds
