"""Hosts and GPUs: what workers registered, and which workers are alive."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, RowMapping, case, func, insert, select, update

from service.db.tables import gpus, hosts
from service.domain.gpus import Gpu, Host
from service.domain.states import GpuState, Standing
from service.store.fleet import gpu_minutes
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

_HOST_COLUMNS = columns_of(hosts, Host)
_GPU_COLUMNS = columns_of(gpus, Gpu, leave_out={"disk_full"})
_DISK_FULL = (hosts.c.standing == Standing.DISK_FULL).label("disk_full")
_LIST_GPUS = (
    select(*_GPU_COLUMNS, _DISK_FULL)
    .select_from(gpus.join(hosts, gpus.c.host_name == hosts.c.name))
    .where(gpus.c.present)
    .order_by(gpus.c.host_name, gpus.c.number)
)
_HEARD = (Standing.REGISTERED, Standing.DISK_FULL)
_LARGEST, _LARGEST_OF_WHOLE = (
    select(gpus.c.host_name, count)
    .where(gpus.c.present)
    .group_by(gpus.c.host_name)
    .order_by(count.desc(), gpus.c.host_name)
    .limit(1)
    for count in (func.count(gpus.c.uuid), func.sum(case((gpus.c.mig, 0), else_=1)))
)


def _of_worker(name: str, worker: str) -> ColumnElement[bool]:
    """The host of this name, if it still belongs to this worker."""
    return (hosts.c.name == name) & (hosts.c.worker == worker) & (hosts.c.standing != Standing.REMOVED)


def _to_host(row: RowMapping) -> Host:
    heartbeat_at = row["heartbeat_at"] if row["standing"] in _HEARD else None
    return to_value(Host, row, heartbeat_at=heartbeat_at)


def reserve_host(
    tx: Transaction,
    name: str,
    *,
    worker: str,
    cores: int,
    dead_workers: Collection[str],
    lease_seconds: float,
) -> float | None:
    """Reserve a host's name for a worker that starts; the host gets no work before the worker registers.

    If another worker has the name, is not in `dead_workers`, and sent a heartbeat within the lease, nothing
    changes; returns the age of that heartbeat in seconds, otherwise None.
    """
    statement = select(*_HOST_COLUMNS).where(hosts.c.name == name).with_for_update()
    row = tx.connection.execute(statement).mappings().first()
    values = {"worker": worker, "standing": Standing.RESERVED, "heartbeat_at": tx.now}
    if row is None:
        tx.connection.execute(insert(hosts).values(name=name, cores=cores, **values))
        return None
    if row["worker"] not in {worker, *dead_workers}:
        age = _age_if_alive(tx, row, lease_seconds=lease_seconds)
        if age is not None:
            return age
    tx.connection.execute(update(hosts).where(hosts.c.name == name).values(values))
    return None


def _age_if_alive(tx: Transaction, row: RowMapping, *, lease_seconds: float) -> float | None:
    """The age of a worker's last heartbeat in seconds, at any standing; None if older than the lease."""
    if row["heartbeat_at"] is None:
        return None
    age: float = abs((tx.now - row["heartbeat_at"]).total_seconds())
    return age if age <= lease_seconds else None


def register_host(tx: Transaction, name: str, *, worker: str, cores: int, devices: Sequence[Gpu]) -> None:
    """Register a host, also again, with exactly these GPUs; a quarantine or drain stays."""
    values = {"worker": worker, "standing": Standing.REGISTERED, "cores": cores, "heartbeat_at": tx.now}
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


def heartbeat(
    tx: Transaction, name: str, *, worker: str, clock_ahead_seconds: float = 0.0
) -> Standing | None:
    """Record that a host's worker is alive; return its standing, None if another worker has the host.

    `clock_ahead_seconds` is how far the host's clock is ahead of the database's.
    """
    values = {"heartbeat_at": tx.now, "clock_ahead_seconds": clock_ahead_seconds}
    statement = update(hosts).where(_of_worker(name, worker)).values(values).returning(hosts.c.standing)
    standing: Standing | None = tx.connection.execute(statement).scalar()
    return standing


def withdraw(tx: Transaction, name: str, *, worker: str) -> None:
    """Record that a host's worker is stopping: it gets no new work, and keeps the host's name."""
    _set_standing(tx, name, worker=worker, standing=Standing.RESERVED)


def set_unanswering(tx: Transaction, name: str, *, worker: str) -> None:
    """Record that a host's worker takes no messages: it gets no work until it registers again."""
    _set_standing(tx, name, worker=worker, standing=Standing.UNANSWERING)


def set_disk_full(tx: Transaction, name: str, *, worker: str) -> None:
    """Record that a host's disk has only its reserve left: nothing starts there until it registers again."""
    _set_standing(tx, name, worker=worker, standing=Standing.DISK_FULL)


def _set_standing(tx: Transaction, name: str, *, worker: str, standing: Standing) -> None:
    tx.connection.execute(update(hosts).where(_of_worker(name, worker)).values(standing=standing))


def leave(tx: Transaction, name: str, *, worker: str) -> None:
    """Record that a host's worker has left: the host gets no work until a worker registers again."""
    values = {"standing": Standing.REGISTERED, "heartbeat_at": None}
    tx.connection.execute(update(hosts).where(_of_worker(name, worker)).values(values))


def remove_host_if_silent(tx: Transaction, name: str, *, lease_seconds: float) -> bool:
    """Remove a host, its GPUs and their history until a worker of its name starts; jobs keep theirs.

    Returns False if its worker sent a heartbeat within the lease.
    """
    statement = select(hosts.c.heartbeat_at).where(hosts.c.name == name).with_for_update()
    row = tx.connection.execute(statement).mappings().one()
    if _age_if_alive(tx, row, lease_seconds=lease_seconds) is not None:
        return False
    values = {"standing": Standing.REMOVED, "heartbeat_at": None}
    tx.connection.execute(update(hosts).where(hosts.c.name == name).values(values))
    tx.connection.execute(update(gpus).where(gpus.c.host_name == name).values(present=False))
    gpu_minutes.remove_of_host(tx, name)
    return True


def list_hosts(tx: Transaction) -> Sequence[Host]:
    """All hosts by name, including hosts whose worker has left."""
    statement = select(*_HOST_COLUMNS).order_by(hosts.c.name)
    known = [_to_host(row) for row in tx.connection.execute(statement).mappings()]
    return [host for host in known if host.standing is not Standing.REMOVED]


def list_gpus(tx: Transaction) -> Sequence[Gpu]:
    """The GPUs that each host's worker found when it registered, by host and number."""
    return [to_value(Gpu, row) for row in tx.connection.execute(_LIST_GPUS).mappings()]


def had_real_gpus(tx: Transaction, name: str) -> bool:
    """Whether a host has ever registered GPUs that were not simulated."""
    real = select(gpus.c.uuid).where(gpus.c.host_name == name, ~gpus.c.simulated).limit(1)
    return tx.connection.execute(real).first() is not None


def quarantine_gpu(tx: Transaction, uuid: str, *, reason: str) -> None:
    """Take a GPU out of use until an administrator gives it back."""
    values = {"state": GpuState.QUARANTINED, "reason": reason}
    tx.connection.execute(update(gpus).where(gpus.c.uuid == uuid).values(values))


def release_gpu(tx: Transaction, uuid: str) -> bool:
    """Give a quarantined GPU back to the scheduler; False if no GPU with that UUID is quarantined."""
    return _give_back(tx, uuid, GpuState.QUARANTINED)


def _give_back(tx: Transaction, uuid: str, state: GpuState) -> bool:
    out = (gpus.c.uuid == uuid) & (gpus.c.state == state)
    statement = update(gpus).where(out).values(state=GpuState.AVAILABLE, reason="")
    return tx.connection.execute(statement).rowcount == 1


def drain_gpu(tx: Transaction, uuid: str, *, reason: str) -> bool:
    """Give a GPU no new job until it is undrained; False if it is quarantined."""
    usable = (gpus.c.uuid == uuid) & (gpus.c.state != GpuState.QUARANTINED)
    statement = update(gpus).where(usable).values(state=GpuState.DRAINED, reason=reason)
    return tx.connection.execute(statement).rowcount == 1


def undrain_gpu(tx: Transaction, uuid: str) -> bool:
    """Let a drained GPU have jobs again; False if it is not drained."""
    return _give_back(tx, uuid, GpuState.DRAINED)


def largest_host(tx: Transaction, *, job_gpus: int = 1) -> tuple[str, int] | None:
    """The host with the most GPUs for a job on `gpus`, and how many; None before any worker has registered.

    MIG instances count for a job on one GPU only.
    """
    row = tx.connection.execute(_LARGEST if job_gpus == 1 else _LARGEST_OF_WHOLE).first()
    return (row[0], row[1]) if row else None
