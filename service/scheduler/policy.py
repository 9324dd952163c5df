"""Decides which jobs start where: pure, so that the same input always gives the same plan.

First come, first served, all GPUs of a job on one host. A job that does not fit holds back those behind it,
so that small jobs never starve a large one; one that no host which is up could ever hold does not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain.jobs import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    id: JobId
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeHost:
    """A live host with the UUIDs of its free GPUs; `total` counts the usable ones, free or not."""

    name: str
    free: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a plan is made from: jobs in the order of submission."""

    queued: Sequence[QueuedJob]
    hosts: Sequence[FreeHost]


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
    """Place jobs from the front of the queue until one has to wait for GPUs that others hold."""
    hosts = {host.name: host for host in snapshot.hosts}
    largest = max((host.total for host in snapshot.hosts), default=0)
    placements: list[Placement] = []
    for job in snapshot.queued:
        if job.gpus > largest:
            continue
        host = _tightest_fit(job, hosts.values())
        if host is None:
            break
        placements.append(Placement(job_id=job.id, host_name=host.name, gpu_uuids=host.free[: job.gpus]))
        hosts[host.name] = FreeHost(name=host.name, free=host.free[job.gpus :], total=host.total)
    placed = {placement.job_id for placement in placements}
    left = [job for job in snapshot.queued if job.id not in placed]
    return Plan(placements=placements, waiting=_explain(left, list(hosts.values()), largest=largest))


def _tightest_fit(job: QueuedJob, hosts: Iterable[FreeHost]) -> FreeHost | None:
    fitting = [host for host in hosts if len(host.free) >= job.gpus]
    return min(fitting, key=lambda host: (len(host.free), host.name), default=None)


def _explain(waiting: Sequence[QueuedJob], hosts: Sequence[FreeHost], *, largest: int) -> Sequence[Waiting]:
    line = [job for job in waiting if job.gpus <= largest]
    return [Waiting(job_id=job.id, reason=_reason(job, line, hosts)) for job in waiting]


def _reason(job: QueuedJob, line: Sequence[QueuedJob], hosts: Sequence[FreeHost]) -> str:
    if not hosts:
        return "waits for a host: no worker is running. Start one with cnnctl up or cnnctl worker"
    largest = max(hosts, key=lambda host: host.total)
    if job not in line:
        return (
            f"waits for {_gpus(job.gpus)} on one host: {largest.name}, the largest that is up, "
            f"has {largest.total} that can be used"
        )
    place, first = line.index(job) + 1, line[0]
    if place > 1:
        return f"waits for job {first.id}, which needs {_gpus(first.gpus)} first; place {place} in line"
    freest = max(hosts, key=lambda host: len(host.free))
    return f"waits for {_gpus(job.gpus)} on one host: {len(freest.free)} free on {freest.name}; first in line"


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
