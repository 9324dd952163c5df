"""Hosts and GPUs: what workers registered, and who is heard."""

from collections.abc import Mapping, Sequence

from sqlalchemy import case, func, insert, select, update

from service.db.tables import gpus, hosts
from service.domain.gpus import Gpu, Host
from service.domain.states import GpuState
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

_HOST_COLUMNS = columns_of(hosts, Host)
_GPU_COLUMNS = columns_of(gpus, Gpu)
_LIST_GPUS = select(*_GPU_COLUMNS).where(gpus.c.present).order_by(gpus.c.host_name, gpus.c.number)
_LARGEST, _LARGEST_OF_WHOLE = (
    select(gpus.c.host_name, count)
    .where(gpus.c.present)
    .group_by(gpus.c.host_name)
    .order_by(count.desc(), gpus.c.host_name)
    .limit(1)
    for count in (func.count(gpus.c.uuid), func.sum(case((gpus.c.mig, 0), else_=1)))
)


def register_host(tx: Transaction, name: str, *, worker: str, cores: int, devices: Sequence[Gpu]) -> None:
    """Make a host known, or known again, with exactly these GPUs; a quarantine or drain stays."""
    values = {"worker": worker, "cores": cores, "heartbeat_at": tx.now}
    if tx.connection.execute(update(hosts).where(hosts.c.name == name).values(values)).rowcount == 0:
        tx.connection.execute(insert(hosts).values(name=name, **values))
    tx.connection.execute(update(gpus).where(gpus.c.host_name == name).values(present=False))
    for device in devices:
        _register_gpu(tx, device)


def _register_gpu(tx: Transaction, device: Gpu) -> None:
    values = {
        "host_name": device.host_name,
        "number": device.number,
        "model": device.model,
        "memory_mib": device.memory_mib,
        "simulated": device.simulated,
        "mig": device.mig,
        "driver": device.driver,
        "present": True,
    }
    if tx.connection.execute(update(gpus).where(gpus.c.uuid == device.uuid).values(values)).rowcount == 0:
        new = {"uuid": device.uuid, "state": GpuState.AVAILABLE, "reason": "", **values}
        tx.connection.execute(insert(gpus).values(new))


def heartbeat(tx: Transaction, name: str, *, worker: str, clock_ahead_seconds: float = 0.0) -> bool:
    """Say that a host's worker is alive; False when another worker has registered the host since.

    `clock_ahead_seconds` is how far the host's clock is ahead of the database's.
    """
    mine = (hosts.c.name == name) & (hosts.c.worker == worker)
    values = {"heartbeat_at": tx.now, "clock_ahead_seconds": clock_ahead_seconds}
    return tx.connection.execute(update(hosts).where(mine).values(values)).rowcount == 1


def leave(tx: Transaction, name: str, *, worker: str) -> None:
    """Say that a host's worker stops: it gets no new work until one registers again."""
    mine = (hosts.c.name == name) & (hosts.c.worker == worker)
    tx.connection.execute(update(hosts).where(mine).values(heartbeat_at=None))


def list_hosts(tx: Transaction) -> Sequence[Host]:
    """Hosts by name, also those whose worker has left."""
    statement = select(*_HOST_COLUMNS).order_by(hosts.c.name)
    return [to_value(Host, row) for row in tx.connection.execute(statement).mappings()]


def list_gpus(tx: Transaction) -> Sequence[Gpu]:
    """GPUs that their host's worker saw when it registered, by host and number."""
    return [to_value(Gpu, row) for row in tx.connection.execute(_LIST_GPUS).mappings()]


def quarantine_gpu(tx: Transaction, uuid: str, *, reason: str) -> None:
    """Take a GPU out of use until an administrator gives it back."""
    values = {"state": GpuState.QUARANTINED, "reason": reason}
    tx.connection.execute(update(gpus).where(gpus.c.uuid == uuid).values(values))


def quarantine_gpus(tx: Transaction, reasons: Mapping[str, str]) -> None:
    """The same for several, by UUID, each for its reason."""
    for uuid, reason in reasons.items():
        quarantine_gpu(tx, uuid, reason=reason)


def release_gpu(tx: Transaction, uuid: str) -> bool:
    """Give a quarantined GPU back to the scheduler; False when none of that UUID is quarantined."""
    return _give_back(tx, uuid, GpuState.QUARANTINED)


def _give_back(tx: Transaction, uuid: str, state: GpuState) -> bool:
    out = (gpus.c.uuid == uuid) & (gpus.c.state == state)
    statement = update(gpus).where(out).values(state=GpuState.AVAILABLE, reason="")
    return tx.connection.execute(statement).rowcount == 1


def drain_gpu(tx: Transaction, uuid: str, *, reason: str) -> bool:
    """Give a GPU no new job until an administrator says so; False when it is quarantined."""
    usable = (gpus.c.uuid == uuid) & (gpus.c.state != GpuState.QUARANTINED)
    statement = update(gpus).where(usable).values(state=GpuState.DRAINED, reason=reason)
    return tx.connection.execute(statement).rowcount == 1


def undrain_gpu(tx: Transaction, uuid: str) -> bool:
    """Let a drained GPU have jobs again; False when it is not drained."""
    return _give_back(tx, uuid, GpuState.DRAINED)


def largest_host(tx: Transaction, *, job_gpus: int = 1) -> tuple[str, int] | None:
    """The host with most GPUs for a job on so many, and how many; None before any worker has registered.

    MIG instances count for a job on one GPU only.
    """
    row = tx.connection.execute(_LARGEST if job_gpus == 1 else _LARGEST_OF_WHOLE).first()
    return (row[0], row[1]) if row else None
