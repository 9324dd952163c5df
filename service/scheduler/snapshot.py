"""Reads from SQL what the policy needs."""

from collections import Counter
from collections.abc import Container, Set

from service.domain.jobs import JobId
from service.domain.states import GpuState
from service.scheduler.policy import Host, HostGpu, QueuedJob, Snapshot
from service.store import hosts, jobs, leases, users
from service.store.transaction import Transaction


def take_snapshot(tx: Transaction, *, heard: Set[str], held_back: Container[JobId] = ()) -> Snapshot:
    """The queue but for jobs that are held back, the hosts that are heard, and who holds how many GPUs."""
    holdings = leases.list_holdings(tx)
    held = {holding.gpu_uuid for holding in holdings}
    taken_whole = {holding.host_name for holding in holdings if holding.exclusive}
    found: dict[str, list[HostGpu]] = {name: [] for name in sorted(heard)}
    for gpu in hosts.list_gpus(tx):
        if gpu.state is GpuState.AVAILABLE and gpu.host_name in found:
            free = gpu.uuid not in held and gpu.host_name not in taken_whole
            found[gpu.host_name].append(HostGpu(uuid=gpu.uuid, model=gpu.model, free=free))
    return Snapshot(
        queued=[
            QueuedJob(id=job.id, gpus=job.gpus, owner=job.owner, terms=job.terms)
            for job in jobs.list_queued_jobs(tx)
            if job.id not in held_back
        ],
        hosts=[Host(name=name, gpus=tuple(gpus)) for name, gpus in found.items()],
        held=Counter(holding.owner for holding in holdings),
        quotas={user.name: user.max_gpus for user in users.list_granted(tx) if user.max_gpus is not None},
    )
