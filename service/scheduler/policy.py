"""Decides which jobs start where: pure, so that the same input always gives the same plan.

First come, first served within a priority class, all GPUs of a job on one host. A job that does not fit keeps
the hosts that could hold it from those behind it, so that small jobs never starve a large one; one that no
host which is up could ever hold, or whose owner has no GPUs left to ask for, keeps nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.domain.gpus import is_model
from service.domain.jobs import JobId
from service.domain.states import Priority
from service.domain.terms import NO_TERMS, Terms

URGENCY = list(Priority)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    id: JobId
    gpus: int
    owner: str = ""
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU that may be used; `free` when no attempt holds it, nor its whole host."""

    uuid: str
    model: str
    free: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host whose worker is heard."""

    name: str
    gpus: tuple[HostGpu, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a plan is made from: jobs in the order of submission.

    `held` counts the GPUs that each owner's jobs hold, `quotas` how many they may hold at once.
    """

    queued: Sequence[QueuedJob]
    hosts: Sequence[Host]
    held: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Start this job on these GPUs now."""

    job_id: JobId
    host_name: str
    gpu_uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Leave this job in the queue, for a reason in words."""

    job_id: JobId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    placements: Sequence[Placement]
    waiting: Sequence[Waiting]


def plan(snapshot: Snapshot) -> Plan:
    """Place the jobs of each class from the first on, the most urgent class first."""
    draft = _Draft(snapshot)
    for job in sorted(snapshot.queued, key=lambda job: URGENCY.index(job.terms.priority), reverse=True):
        draft.settle(job)
    return Plan(placements=draft.placements, waiting=draft.waiting)


class _Draft:
    """A plan in the making: the GPUs that are left, and who waits for which host, in order."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._free = {host.name: [gpu for gpu in host.gpus if gpu.free] for host in snapshot.hosts}
        self._held = Counter(snapshot.held)
        self._lines: dict[str, list[QueuedJob]] = defaultdict(list)  # by host
        self.placements: list[Placement] = []
        self.waiting: list[Waiting] = []

    def settle(self, job: QueuedJob) -> None:
        """Place the job, or say what it waits for."""
        hosts = [host for host in self._snapshot.hosts if _could_hold(host, job)]
        quota = self._snapshot.quotas.get(job.owner)
        if not hosts:
            reason = _explain_impossible(job, self._snapshot.hosts)
        elif quota is not None and self._held[job.owner] + job.gpus > quota:
            held = f"{job.owner} holds {self._held[job.owner]} and may hold {quota} at once"
            reason = f"waits for {_gpus(job.gpus)} of {job.owner}'s quota: {held}"
        elif self._place(job, hosts):
            return
        else:
            reason = self._explain(job, hosts)
            for host in hosts:
                self._lines[host.name].append(job)
        self.waiting.append(Waiting(job_id=job.id, reason=reason))

    def _place(self, job: QueuedJob, hosts: Sequence[Host]) -> bool:
        """Start it where it leaves the fewest GPUs free, on a host that nobody before it waits for."""
        fitting = [host for host in hosts if host.name not in self._lines and self._fits(job, host)]
        if not fitting:
            return False
        host = min(fitting, key=lambda host: (len(self._free[host.name]), host.name))
        uuids = tuple(gpu.uuid for gpu in self._free[host.name] if _suits(gpu, job))[: job.gpus]
        left = [] if job.terms.exclusive else [g for g in self._free[host.name] if g.uuid not in uuids]
        self._free[host.name] = left
        self._held[job.owner] += job.gpus
        self.placements.append(Placement(job_id=job.id, host_name=host.name, gpu_uuids=uuids))
        return True

    def _fits(self, job: QueuedJob, host: Host) -> bool:
        free = self._free[host.name]
        alone = len(free) == len(host.gpus) or not job.terms.exclusive
        return alone and sum(_suits(gpu, job) for gpu in free) >= job.gpus

    def _explain(self, job: QueuedJob, hosts: Sequence[Host]) -> str:
        ahead = max((self._lines.get(host.name, []) for host in hosts), key=len)
        if ahead:
            needs = f"which needs {_gpus(ahead[0].gpus)} first"
            return f"waits for job {ahead[0].id}, {needs}; place {len(ahead) + 1} in line"
        if job.terms.exclusive:
            names = ", ".join(host.name for host in hosts)
            return f"waits for a host of its own, as asked with --exclusive: {names}; first in line"
        freest = max(hosts, key=lambda host: sum(_suits(gpu, job) for gpu in self._free[host.name]))
        free = sum(_suits(gpu, job) for gpu in self._free[freest.name])
        return f"{_wish(job)}: {free} free on {freest.name}; first in line"


def _suits(gpu: HostGpu, job: QueuedJob) -> bool:
    return job.terms.gpu_model is None or is_model(gpu.model, job.terms.gpu_model)


def _could_hold(host: Host, job: QueuedJob) -> bool:
    """Whether the host could run the job if nobody else were there."""
    named = job.terms.host_name in (None, host.name)
    return named and sum(_suits(gpu, job) for gpu in host.gpus) >= job.gpus


def _explain_impossible(job: QueuedJob, hosts: Sequence[Host]) -> str:
    up = [host for host in hosts if job.terms.host_name in (None, host.name)]
    if not up:
        missing = f"host {job.terms.host_name}" if job.terms.host_name else "a host"
        return f"waits for {missing}: no worker is running. Start one with cnnctl up or cnnctl worker"
    largest = max(up, key=lambda host: sum(_suits(gpu, job) for gpu in host.gpus))
    has = f"has {sum(_suits(gpu, job) for gpu in largest.gpus)} that can be used"
    if job.terms.host_name:
        return f"{_wish(job)}: it {has}"
    return f"{_wish(job)}: {largest.name}, the largest that is up, {has}"


def _wish(job: QueuedJob) -> str:
    model = f" of model {job.terms.gpu_model}" if job.terms.gpu_model else ""
    return f"waits for {_gpus(job.gpus)}{model} on {job.terms.host_name or 'one host'}"


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
