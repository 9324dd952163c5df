"""Takes GPUs out of use that a trainer has not left free; the audit says so."""

from collections.abc import Mapping

from service.domain.people import worker_of
from service.domain.states import Action, GpuState, Subject
from service.store.fleet import hosts
from service.store.people import audit
from service.store.transaction import Transaction


def quarantine_gpus(tx: Transaction, reasons: Mapping[str, str]) -> None:
    """Quarantine several GPUs of this host: UUID → reason."""
    for gpu in hosts.list_gpus(tx) if reasons else ():
        reason = reasons.get(gpu.uuid)
        if reason is None or (gpu.state, gpu.reason) == (GpuState.QUARANTINED, reason):
            continue
        hosts.quarantine_gpu(tx, gpu.uuid, reason=reason)
        audit.add_entry_about(
            tx,
            Subject.GPU,
            gpu.name,
            Action.QUARANTINED,
            actor=worker_of(gpu.host_name),
            detail=gpu.uuid,
            before={"state": gpu.state.value, "reason": gpu.reason},
            after={"state": GpuState.QUARANTINED.value, "reason": reason},
        )
