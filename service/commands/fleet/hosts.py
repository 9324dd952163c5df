"""Shows hosts: whether their workers are alive, and what is free there. Removes hosts that are gone."""

from collections import Counter
from collections.abc import Sequence

from cnnctl.views.fleet import HostView
from service.commands.fleet.health import is_alive
from service.commands.people.permissions import check_administrator
from service.domain.gpus import Host, explain_unusable
from service.domain.people import Actor
from service.domain.states import Action, Standing, Subject
from service.errors import HostConflict, HostNotFound
from service.settings import Settings
from service.store.fleet import hosts, leases, readings
from service.store.people import audit
from service.store.transaction import Store

_REASONS = {
    Standing.RESERVED: "its worker is starting or stopping",
    Standing.DISK_FULL: "its disk has only the reserve left (CNNCTL_DISK_RESERVE)",
    Standing.UNANSWERING: "its worker takes no messages",
    Standing.REGISTERED: "its worker has left",
}


def list_host_views(store: Store, settings: Settings) -> Sequence[HostView]:
    """Every host that ever had a worker and was not removed, by name."""
    with store.reading() as tx:
        held = leases.list_holders(tx)
        outsiders = readings.list_outsiders(tx)
        gpus = hosts.list_gpus(tx)
        jobs = Counter(
            host for host, _ in {(gpu.host_name, held[gpu.uuid]) for gpu in gpus if gpu.uuid in held}
        )
        views = []
        for host in hosts.list_hosts(tx):
            own = [gpu for gpu in gpus if gpu.host_name == host.name]
            alive = is_alive(tx, host.heartbeat_at, settings)
            free = [
                gpu
                for gpu in own
                if gpu.uuid not in held and not explain_unusable(gpu, outsiders.get(gpu.uuid, ()))
            ]
            views.append(
                HostView(
                    host=host.name,
                    alive=alive,
                    reason=_explain(host, alive=alive),
                    heartbeat_at=host.heartbeat_at,
                    cores=host.cores,
                    gpus=len(own),
                    gpus_free=len(free) if alive else 0,
                    driver=next((gpu.driver for gpu in own if gpu.driver), None),
                    clock_ahead_seconds=host.clock_ahead_seconds,
                    jobs=jobs[host.name],
                )
            )
        return views


def remove_host(store: Store, settings: Settings, name: str, *, actor: Actor) -> None:
    """Forget a host that is gone, and its GPUs; a worker that starts with its name registers it again.

    Raises:
        NotAllowed: `actor` is no administrator.
        HostNotFound: there is no such host.
        HostConflict: its worker is alive, or a job holds GPUs of it.
    """
    with store.transaction() as tx:
        check_administrator(tx, actor, act="remove a host")
        known = [host.name for host in hosts.list_hosts(tx)]
        if name not in known:
            raise HostNotFound(f"There is no host {name}. Known: {', '.join(known) or 'none yet'}")
        held = leases.list_holders(tx)
        if any(gpu.host_name == name and gpu.uuid in held for gpu in hosts.list_gpus(tx)):
            raise HostConflict(
                f"Host {name} cannot be removed: a job holds GPUs of it. The scheduler gives a job up when "
                f"its worker has been silent for {settings.lease_seconds:g} s. See: cnnctl gpus"
            )
        if not hosts.remove_host_if_silent(tx, name, lease_seconds=settings.lease_seconds):
            raise HostConflict(
                f"Host {name} cannot be removed: its worker is alive. Stop it first; if it was killed, "
                f"wait {settings.lease_seconds:g} s. To give its GPUs no new job: cnnctl gpus drain {name}"
            )
        audit.add_entry_about(tx, Subject.HOST, name, Action.REMOVED, actor=actor)


def _explain(host: Host, *, alive: bool) -> str:
    """Why a host gets no work; empty when it does."""
    if alive and host.standing is Standing.REGISTERED:
        return ""
    return "its worker is silent" if host.heartbeat_at and not alive else _REASONS[host.standing]
