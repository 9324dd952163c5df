"""GPUs as an administrator sees them: who holds them, which are out of use and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import GpuNotQuarantined
from service.store import attempts, hosts, leases
from service.store.transaction import Store

View = Mapping[str, Any]


def list_gpu_views(store: Store) -> Sequence[View]:
    """Every GPU that its host's worker has seen, with the job that holds it."""
    with store.reading() as tx:
        holders = leases.list_holders(tx)
        job_of = {attempt.id: attempt.job_id for attempt in attempts.list_live_attempts(tx)}
        return [
            {
                "uuid": gpu.uuid,
                "host": gpu.host_name,
                "number": gpu.number,
                "model": gpu.model,
                "memory_mib": gpu.memory_mib,
                "simulated": gpu.simulated,
                "state": gpu.state.value,
                "reason": gpu.reason,
                "job": job_of.get(holders[gpu.uuid]) if gpu.uuid in holders else None,
            }
            for gpu in hosts.list_gpus(tx)
        ]


def release_gpu(store: Store, uuid: str) -> None:
    """Give a quarantined GPU back to the scheduler.

    Raises:
        GpuNotQuarantined: no GPU of that UUID is quarantined; the message names those that are.
    """
    with store.transaction() as tx:
        if hosts.release_gpu(tx, uuid):
            return
    out = [view["uuid"] for view in list_gpu_views(store) if view["state"] == "quarantined"]
    there_is = f"Quarantined: {', '.join(out)}" if out else "None is"
    raise GpuNotQuarantined(f"No GPU {uuid} is quarantined. {there_is}. See: cnnctl gpus")
