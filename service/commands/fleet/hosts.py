"""Hosts as people see them: whose worker is heard, and what is free there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from service.commands.fleet.health import is_heard
from service.domain.gpus import explain_unusable
from service.settings import Settings
from service.store.fleet import hosts, leases, readings
from service.store.transaction import Store

View = Mapping[str, Any]


def list_host_views(store: Store, settings: Settings) -> Sequence[View]:
    """Every host that ever had a worker, by name; `gpus_free` are those that a job could start on now."""
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
            heard = is_heard(tx, host.heartbeat_at, settings)
            free = [
                gpu
                for gpu in own
                if gpu.uuid not in held and not explain_unusable(gpu, outsiders.get(gpu.uuid, ()))
            ]
            views.append(
                {
                    "host": host.name,
                    "heard": heard,
                    "heartbeat_at": host.heartbeat_at.isoformat() if host.heartbeat_at else None,
                    "cores": host.cores,
                    "gpus": len(own),
                    "gpus_free": len(free) if heard else 0,
                    "driver": next((gpu.driver for gpu in own if gpu.driver), None),
                    "clock_ahead_seconds": host.clock_ahead_seconds,
                    "jobs": jobs[host.name],
                }
            )
        return views
