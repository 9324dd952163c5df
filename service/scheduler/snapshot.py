"""Reads from SQL what the policy needs."""

from collections.abc import Container, Set

from service.domain.jobs import JobId
from service.domain.states import GpuState
from service.scheduler.policy import FreeHost, QueuedJob, Snapshot
from service.store import hosts, jobs, leases
from service.store.transaction import Transaction


def take_snapshot(tx: Transaction, *, heard: Set[str], held_back: Container[JobId] = ()) -> Snapshot:
    """The queue but for jobs that are held back, and the free GPUs of the hosts that are heard."""
    held = leases.list_holders(tx)
    usable = [gpu for gpu in hosts.list_gpus(tx) if gpu.state is GpuState.AVAILABLE]
    return Snapshot(
        queued=[
            QueuedJob(id=job.id, gpus=job.gpus)
            for job in jobs.list_queued_jobs(tx)
            if job.id not in held_back
        ],
        hosts=[
            FreeHost(
                name=name,
                free=tuple(g.uuid for g in usable if g.host_name == name and g.uuid not in held),
                total=sum(g.host_name == name for g in usable),
            )
            for name in sorted(heard)
        ],
    )
