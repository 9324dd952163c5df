"""Reads from SQL what the policy needs."""

from datetime import timedelta

from service.domain.states import GpuState
from service.scheduler.policy import FreeHost, QueuedJob, Snapshot
from service.store import hosts, jobs, leases
from service.store.transaction import Transaction


def take_snapshot(tx: Transaction, *, lease_seconds: float) -> Snapshot:
    """The queue, and the free GPUs of hosts whose worker was heard within the lease."""
    held = leases.list_holders(tx)
    usable = [gpu for gpu in hosts.list_gpus(tx) if gpu.state is GpuState.AVAILABLE]
    heard = hosts.list_hosts(tx, heard_since=tx.now - timedelta(seconds=lease_seconds))
    return Snapshot(
        queued=[QueuedJob(id=job.id, gpus=job.gpus) for job in jobs.list_queued_jobs(tx)],
        hosts=[
            FreeHost(
                name=host.name,
                free=tuple(g.uuid for g in usable if g.host_name == host.name and g.uuid not in held),
                total=sum(g.host_name == host.name for g in usable),
            )
            for host in heard
        ],
    )
