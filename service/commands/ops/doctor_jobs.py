"""Compares the database with what runs: leases, trainers, clocks."""

from collections.abc import Iterator

from cnnctl.views.ops import Finding
from service.commands.fleet.health import is_alive
from service.domain.jobs import Attempt
from service.process import is_running
from service.settings import Settings
from service.store.fleet import hosts, leases
from service.store.jobs import attempts
from service.store.transaction import Store

MOST_SKEW_SECONDS = 2.0
DATABASE = "the database"


def check_leases(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find leases of attempts that have ended, and attempts whose worker is silent."""
    with store.reading() as tx:
        stale = [(uuid, attempts.get_attempt(tx, holder)) for uuid, holder in leases.list_stale(tx).items()]
        silent = [
            attempt
            for attempt in attempts.list_claimed_attempts(tx)
            if not is_alive(tx, attempt.heartbeat_at, settings)
        ]
    for uuid, attempt in stale:
        yield Finding(
            subject="stale lease",
            found=f"GPU {uuid} is leased to {_name(attempt)}, which has ended",
            itself="nothing: the GPU gets no job",
            remedy="when no process uses the GPU, in the database: UPDATE leases SET released_at = "
            f"CURRENT_TIMESTAMP WHERE released_at IS NULL AND gpu_uuid = '{uuid}'",
        )
    for attempt in silent:
        yield Finding(
            subject="stale lease",
            found=f"{_name(attempt)} on {attempt.host_name}: its worker has sent no heartbeat for over "
            f"{settings.lease_seconds:g} s",
            itself="the scheduler, while it runs, gives the attempt up and queues the job again",
            remedy=f"see that the scheduler runs, and start the worker on {attempt.host_name}: cnnctl worker",
        )


def check_trainers(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find trainers on this host that still run although their attempt has ended."""
    with store.reading() as tx:
        ended = attempts.list_ended_attempts(tx)
    for attempt in ended:
        if attempt.host_name == settings.host_name and is_running(
            attempt.trainer_pid, started=attempt.trainer_started
        ):
            yield Finding(
                subject="orphaned trainer",
                found=f"process {attempt.trainer_pid} still trains {_name(attempt)}, which has ended",
                itself="a worker that runs kills it; without one it stops by itself within "
                f"{settings.lease_seconds:g} s. Until then its GPU is busy",
                remedy=f"if it is still there after that: kill -9 -- -{attempt.trainer_pid}",
            )


def check_clocks(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find clocks that are far apart: of the database, and of hosts whose workers are alive."""
    with store.reading() as tx:
        alive = [host for host in hosts.list_hosts(tx) if is_alive(tx, host.heartbeat_at, settings)]
    ahead = {host.name: host.clock_ahead_seconds for host in alive if host.clock_ahead_seconds is not None}
    ahead[DATABASE] = 0.0
    first, last = max(ahead, key=ahead.__getitem__), min(ahead, key=ahead.__getitem__)
    skew = ahead[first] - ahead[last]
    if skew > MOST_SKEW_SECONDS:
        yield Finding(
            subject="clock skew",
            found=f"the clock of {first} is {skew:.1f} s ahead of the clock of {last}",
            itself="jobs continue: silence is measured without clocks; times in logs and events do not agree",
            remedy="let all hosts follow a time server; see on each: timedatectl status",
        )


def _name(attempt: Attempt) -> str:
    return f"attempt {attempt.number} of job {attempt.job_id}"
