"""Shows GPUs: who holds them, their readings, which are out of use and why. Takes GPUs out of use."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from cnnctl.views.fleet import GpuView, OutsiderView
from service.commands.fleet.health import is_alive
from service.commands.people.permissions import check_administrator
from service.domain.bounds import check_option
from service.domain.gpus import Gpu, Reading, list_named
from service.domain.people import Actor
from service.domain.states import Action, GpuState, Subject
from service.errors import GpuConflict, GpuNotFound, SpecError
from service.settings import Settings
from service.store.fleet import hosts, leases, readings
from service.store.fleet.leases import Holding
from service.store.people import audit
from service.store.transaction import Store, Transaction


def list_gpu_views(store: Store, settings: Settings) -> Sequence[GpuView]:
    """Every registered GPU with who holds it; a reading that is older than the lease is left out."""
    with store.reading() as tx:
        return _list(tx, settings)


def _list(tx: Transaction, settings: Settings) -> Sequence[GpuView]:
    holdings = {holding.gpu_uuid: holding for holding in leases.list_holdings(tx, since=tx.now)}
    alive = {host.name for host in hosts.list_hosts(tx) if is_alive(tx, host.heartbeat_at, settings)}
    read = readings.list_readings(tx)
    return [
        _describe(
            gpu,
            holdings.get(gpu.uuid),
            alive=gpu.host_name in alive,
            read=_forget_old(tx, read.get(gpu.uuid), settings),
        )
        for gpu in hosts.list_gpus(tx)
    ]


def drain_gpus(
    store: Store, settings: Settings, names: Sequence[str], *, reason: str, actor: Actor
) -> Sequence[GpuView]:
    """Give GPUs no new jobs; running jobs continue to their end. Changes all of the GPUs, or none.

    A host's name stands for all of its GPUs that are not quarantined.

    Raises:
        NotAllowed: `actor` is no administrator.
        GpuNotFound: a name matches no GPU, or several.
        GpuConflict: a GPU is quarantined.
    """

    def drain(tx: Transaction, gpu: Gpu) -> None:
        if not hosts.drain_gpu(tx, gpu.uuid, reason=_sign(reason, actor=actor)):
            raise _conflict(gpu, "be drained", "It gets no job until: cnnctl gpus release")

    states = (GpuState.AVAILABLE, GpuState.DRAINED)
    return _change(store, settings, names, drain, Action.DRAINED, actor=actor, of_hosts=states)


def undrain_gpus(
    store: Store, settings: Settings, names: Sequence[str], *, actor: Actor
) -> Sequence[GpuView]:
    """Let drained GPUs have jobs again; a host's name stands for all of its drained ones.

    Raises:
        NotAllowed, GpuNotFound: as `drain_gpus`.
        GpuConflict: a GPU is not drained.
    """

    def undrain(tx: Transaction, gpu: Gpu) -> None:
        if not hosts.undrain_gpu(tx, gpu.uuid):
            raise _conflict(gpu, "be undrained", "Only drained GPUs can be. See: cnnctl gpus")

    states = (GpuState.DRAINED,)
    return _change(store, settings, names, undrain, Action.UNDRAINED, actor=actor, of_hosts=states)


def quarantine_gpus(
    store: Store, settings: Settings, names: Sequence[str], *, reason: str, actor: Actor
) -> Sequence[GpuView]:
    """Take GPUs out of use because something is wrong with them.

    Raises:
        NotAllowed, GpuNotFound: as `drain_gpus`.
        SpecError: no reason is given.
    """
    if not reason.strip():
        raise SpecError("--reason must say what is wrong with the GPU: whoever releases it has to know")
    words = _sign(reason, actor=actor)

    def quarantine(tx: Transaction, gpu: Gpu) -> None:
        hosts.quarantine_gpu(tx, gpu.uuid, reason=words)

    return _change(store, settings, names, quarantine, Action.QUARANTINED, actor=actor)


def release_gpus(
    store: Store, settings: Settings, names: Sequence[str], *, actor: Actor
) -> Sequence[GpuView]:
    """Give quarantined GPUs back to the scheduler.

    Raises:
        NotAllowed, GpuNotFound: as `drain_gpus`.
        GpuConflict: one is not quarantined; the message names those that are.
    """

    def release(tx: Transaction, gpu: Gpu) -> None:
        if not hosts.release_gpu(tx, gpu.uuid):
            out = [one.name for one in hosts.list_gpus(tx) if one.state is GpuState.QUARANTINED]
            raise _conflict(gpu, "be released", f"Quarantined: {', '.join(out) or 'none'}. See: cnnctl gpus")

    return _change(store, settings, names, release, Action.RELEASED, actor=actor)


def _change(
    store: Store,
    settings: Settings,
    names: Sequence[str],
    act: Callable[[Transaction, Gpu], None],
    action: Action,
    *,
    actor: Actor,
    of_hosts: Collection[GpuState] = (),
) -> Sequence[GpuView]:
    """Act on GPUs, in the order in which they were named, and say how they are then."""
    with store.transaction() as tx:
        check_administrator(tx, actor, act="take GPUs out of use or give them back")
        known = hosts.list_gpus(tx)
        chosen = {gpu.uuid: gpu for name in names for gpu in _get_all(known, name, of_hosts)}
        for gpu in chosen.values():
            act(tx, gpu)
        after = {gpu.uuid: gpu for gpu in hosts.list_gpus(tx)}
        for gpu in chosen.values():
            _record(tx, gpu, after[gpu.uuid], action, actor=actor)
        views = {view.uuid: view for view in _list(tx, settings)}
        return [views[uuid] for uuid in chosen]


def _record(tx: Transaction, before: Gpu, after: Gpu, action: Action, *, actor: Actor) -> None:
    was, now = ({"state": gpu.state.value, "reason": gpu.reason} for gpu in (before, after))
    audit.add_entry_about(
        tx, Subject.GPU, before.name, action, actor=actor, detail=before.uuid, before=was, after=now
    )


def _get_all(known: Sequence[Gpu], name: str, of_hosts: Collection[GpuState]) -> Sequence[Gpu]:
    """The GPU of this name, or a host's GPUs in one of these states."""
    own = [gpu for gpu in known if gpu.host_name == name]
    if not own or not of_hosts:
        return [_get(known, name)]
    chosen = [gpu for gpu in own if gpu.state in of_hosts]
    if not chosen:
        raise GpuConflict(f"No GPU of {name} is {' or '.join(of_hosts)}. See: cnnctl gpus")
    return chosen


def _get(known: Sequence[Gpu], name: str) -> Gpu:
    found = list_named(known, name)
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} GPUs have UUIDs that begin with" if found else "There is no GPU"
    choices = ", ".join(f"{gpu.name} ({gpu.uuid})" for gpu in found or known) or "none yet"
    raise GpuNotFound(
        f"{what} {name}. Known: {choices}. Name it by its UUID, by the beginning of that, or by HOST:NUMBER"
    )


def _sign(reason: str, *, actor: Actor) -> str:
    """Who did it is part of the reason: it is shown where nobody looks into the audit."""
    check_option("--reason", reason)
    return f"{reason.strip()} (by {actor.name})" if reason.strip() else f"by {actor.name}"


def _conflict(gpu: Gpu, act: str, hint: str) -> GpuConflict:
    return GpuConflict(f"{gpu.name} ({gpu.uuid}) cannot {act}: it is {gpu.state.value}. {hint}")


def _describe(
    gpu: Gpu, holding: Holding | None, *, alive: bool, read: tuple[datetime | None, Reading]
) -> GpuView:
    read_at, reading = read
    return GpuView(
        uuid=gpu.uuid,
        host=gpu.host_name,
        number=gpu.number,
        model=gpu.model,
        memory_mib=gpu.memory_mib,
        simulated=gpu.simulated,
        mig=gpu.mig,
        driver=gpu.driver,
        state=gpu.state.value,
        reason=gpu.reason,
        job=holding.job_id if holding else None,
        owner=holding.owner if holding else None,
        since=holding.acquired_at if holding else None,
        alive=alive,
        temperature_celsius=reading.temperature_celsius,
        utilization_percent=reading.utilization_percent,
        memory_used_mib=reading.memory_used_mib,
        ecc_errors=reading.ecc_errors,
        outsiders=tuple(OutsiderView(**asdict(one)) for one in reading.outsiders),
        read_at=read_at,
    )


def _forget_old(
    tx: Transaction, read: tuple[datetime, Reading] | None, settings: Settings
) -> tuple[datetime | None, Reading]:
    """When a GPU was read, and the reading; of an old one only the outsiders, who still keep jobs away."""
    read_at, reading = read or (None, Reading())
    return read_at, reading if is_alive(tx, read_at, settings) else Reading(outsiders=reading.outsiders)
