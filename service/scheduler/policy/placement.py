"""Where a job fits: what is left of each host while a plan is made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.domain.gpus import is_model
from service.scheduler.policy.preemption import Holder
from service.scheduler.policy.situation import Host, HostGpu, QueuedJob, RunningJob, Snapshot


@dataclass(slots=True)
class HostCapacity:
    """A host in the course of a plan.

    `free` GPUs go to whoever comes next; `leaving` ones are held by jobs that were told to stop, those of
    `holders` by jobs that were not. `reserved` ones are free, too, but kept for a blocked job of the rank
    `reserved_rank`, which will surely have all that it needs `in_seconds`.
    """

    host: Host
    free: list[HostGpu]
    usable: int
    leaving: list[HostGpu] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)
    reserved: list[HostGpu] = field(default_factory=list)
    reserved_rank: int | None = None
    in_seconds: float = 0.0

    def need(self, job: QueuedJob) -> int:
        """How many GPUs have to be free for the job: an exclusive one needs the whole host."""
        return self.usable if job.exclusive else job.gpus

    def could_hold(self, job: QueuedJob) -> bool:
        """Whether the job would fit if nobody else were there."""
        if job.host is not None and job.host != self.host.name:
            return False
        if not _is_choosy(job):
            return self.usable >= job.gpus
        return sum(gpu.usable and is_right(gpu, job) for gpu in self.host.gpus) >= job.gpus

    def take(self, job: QueuedJob, pools: Sequence[list[HostGpu]]) -> tuple[str, ...]:
        """Remove from these lists what the job needs, the first list first; the GPUs that it will work on."""
        missing = self.need(job)
        taken: list[HostGpu] = []
        for pool in pools:
            chosen = [gpu for gpu in pool if suits(gpu, job)][: missing - len(taken)]
            taken += chosen
            pool[:] = [gpu for gpu in pool if gpu not in chosen]
        right = [gpu.uuid for gpu in taken if is_right(gpu, job)]
        return tuple(right[: job.gpus])


def part_of(job: QueuedJob) -> QueuedJob:
    """What one of its hosts has to hold of a job."""
    return job if job.hosts == 1 else replace(job, gpus=job.gpus // job.hosts)


def is_right(gpu: HostGpu, job: QueuedJob) -> bool:
    """Whether the job can work on such a GPU."""
    if gpu.mig and (job.gpus > 1 or job.hosts > 1):
        return False
    return has_memory(gpu, job) and (job.gpu_model is None or is_model(gpu.model, job.gpu_model))


def has_memory(gpu: HostGpu, job: QueuedJob) -> bool:
    return not gpu.memory_mib or job.memory_mib <= gpu.memory_mib


def _is_choosy(job: QueuedJob) -> bool:
    """Whether the job cannot work on every GPU."""
    return job.gpu_model is not None or job.memory_mib > 0 or job.gpus > 1 or job.hosts > 1


def suits(gpu: HostGpu, job: QueuedJob) -> bool:
    """Whether the job needs such a GPU, to work on or only to be alone."""
    return job.exclusive or is_right(gpu, job)


def count_suited(gpus: Sequence[HostGpu], job: QueuedJob) -> int:
    if job.exclusive or not _is_choosy(job):
        return len(gpus)
    return sum(is_right(gpu, job) for gpu in gpus)


def list_capacities(snapshot: Snapshot, holders: Iterable[Holder]) -> Sequence[HostCapacity]:
    """The hosts as they are, in the order of their names; an exclusive job holds all of its host."""
    capacities = {host.name: empty_room(host) for host in sorted(snapshot.hosts, key=lambda host: host.name)}
    for job in snapshot.running:
        if job.stopping:
            for capacity in _capacities_of(job, capacities):
                capacity.leaving += _occupy(capacity, job.gpu_uuids, exclusive=job.exclusive)
    for holder in holders:
        for capacity in _capacities_of(holder.job, capacities):
            # Of a job over several hosts, each room has a holder of its own, who frees what is there.
            part = replace(holder, frees=[]) if holder.job.other_hosts else holder
            capacity.holders.append(part)
            part.frees.extend(_occupy(capacity, holder.job.gpu_uuids, exclusive=holder.job.exclusive))
    return list(capacities.values())


def _capacities_of(job: RunningJob, capacities: Mapping[str, HostCapacity]) -> Sequence[HostCapacity]:
    return [capacities[name] for name in (job.host_name, *job.other_hosts) if name in capacities]


def empty_room(host: Host) -> HostCapacity:
    """A host without jobs. Its smallest GPUs come first: the large ones are kept for who needs them."""
    free = sorted((gpu for gpu in host.gpus if gpu.usable), key=lambda gpu: gpu.memory_mib)
    return HostCapacity(host, free, len(free))


def _occupy(capacity: HostCapacity, gpu_uuids: Sequence[str], *, exclusive: bool) -> Sequence[HostGpu]:
    held = [gpu for gpu in capacity.free if exclusive or gpu.uuid in gpu_uuids]
    capacity.free = [gpu for gpu in capacity.free if gpu not in held]
    return held


def list_tightest_capacities(
    capacities: Sequence[HostCapacity],
    part: QueuedJob,
    *,
    count: int,
    may_use: Callable[[HostCapacity], bool],
) -> Sequence[HostCapacity]:
    """So many hosts on which a part of a job fits now, each the tightest of those left; none if too few."""
    found: list[HostCapacity] = []
    while len(found) < count:
        left = (
            [capacity for capacity in capacities if not any(capacity is one for one in found)]
            if found
            else capacities
        )
        capacity = find_tightest(left, part, may_use=may_use)
        if capacity is None:
            return ()
        found.append(capacity)
    return found


def find_tightest(
    capacities: Iterable[HostCapacity], job: QueuedJob, *, may_use: Callable[[HostCapacity], bool]
) -> HostCapacity | None:
    """The host on which the job fits now and leaves the fewest GPUs free; kept ones only if it may."""
    found: HostCapacity | None = None
    least = 0
    for capacity in capacities:
        need = capacity.need(job)
        if len(capacity.free) + len(capacity.reserved) < need:
            continue
        free = count_suited(capacity.free, job)
        if free < need and capacity.reserved and may_use(capacity):
            free += count_suited(capacity.reserved, job)
        if free >= need and (found is None or free < least):
            found, least = capacity, free
    return found
