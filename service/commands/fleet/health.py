"""Tells whether scheduler and workers are alive, by the heartbeats that they write into SQL."""

from datetime import datetime

from cnnctl.views.access import HealthView
from service.domain.states import Standing
from service.settings import Settings
from service.store.fleet import hosts, schedulers
from service.store.transaction import Store, Transaction

SCHEDULER_SILENCE_SECONDS = 10.0


def check_health(store: Store, settings: Settings) -> HealthView:
    """Read from SQL which processes are alive; asks no process and no broker."""
    with store.reading() as tx:
        return read_health(tx, settings)


def read_health(tx: Transaction, settings: Settings) -> HealthView:
    """As `check_health`, inside a transaction."""
    latest = schedulers.find_latest(tx)
    scheduling = latest is not None and _age(tx, latest.heartbeat_at) < SCHEDULER_SILENCE_SECONDS
    known = hosts.list_hosts(tx)
    alive = [host for host in known if is_alive(tx, host.heartbeat_at, settings)]
    unanswering = [host.name for host in known if host.standing is Standing.UNANSWERING]
    notices = []
    if not scheduling:
        last = f" (last heartbeat {latest.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC)" if latest else ""
        notices.append(
            f"No scheduler is running{last}: jobs wait. Start it with cnnctl up, or cnnctl scheduler"
        )
    elif latest is not None and latest.broker_error:
        notices.append(
            f"The broker cannot be reached: jobs wait until it can. It said: {latest.broker_error}"
        )
    for name in unanswering:
        notices.append(
            f"The worker of {name} is alive but takes no messages: its host gets no work until it does. "
            "Is its CNNCTL_BROKER_URL the scheduler's? Read its log, then restart it"
        )
    for host in alive:
        if host.standing is Standing.DISK_FULL:
            notices.append(
                f"The disk of {host.name}'s run folders has only the reserve left (CNNCTL_DISK_RESERVE): "
                "nothing new starts there. Free space: cnnctl gc"
            )
    if not alive and not unanswering:
        notices.append("No worker is running: jobs wait. Start one with cnnctl up, or cnnctl worker")
    names = [host.name for host in alive]
    return HealthView(up=scheduling and bool(alive), scheduler=scheduling, hosts=names, notices=notices)


def is_alive(tx: Transaction, heartbeat_at: datetime | None, settings: Settings) -> bool:
    """Whether a worker has sent a heartbeat within the lease."""
    return heartbeat_at is not None and _age(tx, heartbeat_at) <= settings.lease_seconds


def _age(tx: Transaction, moment: datetime) -> float:
    """Seconds between a moment and now; a moment in the future is from before the clock was set back."""
    return abs((tx.now - moment).total_seconds())
