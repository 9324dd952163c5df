"""Finds where a job fits: tracks the GPUs left on each host while a plan is made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.domain.gpus import is_model
from service.scheduler.policy.preemption import Holder
from service.scheduler.policy.situation import Host, HostGpu, QueuedJob, RunningJob, Snapshot


@dataclass(slots=True)
class HostCapacity:
    """The state of a host's GPUs while a plan is made."""

    host: Host
    free: list[HostGpu]
    """GPUs that the next job may take."""
    usable: int
    """How many of the host's GPUs are usable."""
    leaving: list[HostGpu] = field(default_factory=list)
    """GPUs of jobs that were told to stop."""
    holders: list[Holder] = field(default_factory=list)
    """Running jobs that were not told to stop."""
    reserved: list[HostGpu] = field(default_factory=list)
    """Free GPUs that are kept for a blocked job."""
    reserved_rank: int | None = None
    """The rank of that job; None without a reservation."""
    in_seconds: float = 0.0
    """When that job will surely have all GPUs that it needs."""

    def need(self, job: QueuedJob) -> int:
        """How many GPUs must be free for the job: an exclusive job needs the whole host."""
        return self.usable if job.exclusive else job.gpus

    def could_hold(self, job: QueuedJob) -> bool:
        """Whether the job would fit if no other job were on the host."""
        if job.host is not None and job.host != self.host.name:
            return False
        if not _is_choosy(job):
            return self.usable >= job.gpus
        return sum(gpu.usable and is_right(gpu, job) for gpu in self.host.gpus) >= job.gpus

    def take(self, job: QueuedJob, pools: Sequence[list[HostGpu]]) -> tuple[str, ...]:
        """Take the job's GPUs from these lists, in their order; return those that it will work on."""
        missing = self.need(job)
        taken: list[HostGpu] = []
        for pool in pools:
            chosen = [gpu for gpu in pool if suits(gpu, job)][: missing - len(taken)]
            taken += chosen
            pool[:] = [gpu for gpu in pool if gpu not in chosen]
        right = [gpu.uuid for gpu in taken if is_right(gpu, job)]
        return tuple(right[: job.gpus])


def member_of(job: QueuedJob) -> QueuedJob:
    """What each host of a job must hold, as a job of its own: the member that runs there."""
    return job if job.hosts == 1 else replace(job, gpus=job.gpus // job.hosts)


def is_right(gpu: HostGpu, job: QueuedJob) -> bool:
    """Whether the job can work on this GPU."""
    if gpu.mig and (job.gpus > 1 or job.hosts > 1):
        return False
    return has_memory(gpu, job) and (job.gpu_model is None or is_model(gpu.model, job.gpu_model))


def has_memory(gpu: HostGpu, job: QueuedJob) -> bool:
    return not gpu.memory_mib or job.memory_mib <= gpu.memory_mib


def _is_choosy(job: QueuedJob) -> bool:
    """Whether the job cannot work on every GPU."""
    return job.gpu_model is not None or job.memory_mib > 0 or job.gpus > 1 or job.hosts > 1


def suits(gpu: HostGpu, job: QueuedJob) -> bool:
    """Whether the job needs this GPU, to work on it or only to be alone on the host."""
    return job.exclusive or is_right(gpu, job)


def count_suited(gpus: Sequence[HostGpu], job: QueuedJob) -> int:
    if job.exclusive or not _is_choosy(job):
        return len(gpus)
    return sum(is_right(gpu, job) for gpu in gpus)


def list_capacities(snapshot: Snapshot, holders: Iterable[Holder]) -> Sequence[HostCapacity]:
    """The current state of the hosts, by name; an exclusive job holds its whole host."""
    capacities = {host.name: empty_room(host) for host in sorted(snapshot.hosts, key=lambda host: host.name)}
    for job in snapshot.running:
        if job.stopping:
            for capacity in _capacities_of(job, capacities):
                capacity.leaving += _occupy(capacity, job.gpu_uuids, exclusive=job.exclusive)
    for holder in holders:
        for capacity in _capacities_of(holder.job, capacities):
            # A job over several hosts has a holder on each of them, which frees the GPUs there.
            here = replace(holder, frees=[]) if holder.job.other_hosts else holder
            capacity.holders.append(here)
            here.frees.extend(_occupy(capacity, holder.job.gpu_uuids, exclusive=holder.job.exclusive))
    return list(capacities.values())


def _capacities_of(job: RunningJob, capacities: Mapping[str, HostCapacity]) -> Sequence[HostCapacity]:
    return [capacities[name] for name in (job.host_name, *job.other_hosts) if name in capacities]


def empty_room(host: Host) -> HostCapacity:
    """A host without jobs. Its smallest GPUs come first, to keep the large ones for jobs that need them."""
    free = sorted((gpu for gpu in host.gpus if gpu.usable), key=lambda gpu: gpu.memory_mib)
    return HostCapacity(host, free, len(free))


def _occupy(capacity: HostCapacity, gpu_uuids: Sequence[str], *, exclusive: bool) -> Sequence[HostGpu]:
    held = [gpu for gpu in capacity.free if exclusive or gpu.uuid in gpu_uuids]
    capacity.free = [gpu for gpu in capacity.free if gpu not in held]
    return held


def list_tightest_capacities(
    capacities: Sequence[HostCapacity],
    member: QueuedJob,
    *,
    count: int,
    may_use: Callable[[HostCapacity], bool],
) -> Sequence[HostCapacity]:
    """The `count` tightest hosts on which a member of a job fits now; none if there are fewer."""
    found: list[HostCapacity] = []
    while len(found) < count:
        left = (
            [capacity for capacity in capacities if not any(capacity is one for one in found)]
            if found
            else capacities
        )
        capacity = find_tightest(left, member, may_use=may_use)
        if capacity is None:
            return ()
        found.append(capacity)
    return found


def find_tightest(
    capacities: Iterable[HostCapacity], job: QueuedJob, *, may_use: Callable[[HostCapacity], bool]
) -> HostCapacity | None:
    """The host where the job fits now and leaves the fewest GPUs free; reserved GPUs only if allowed."""
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
