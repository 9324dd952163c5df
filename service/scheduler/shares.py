"""How many GPUs at once are due to each owner."""

from collections.abc import Iterable, Mapping

from service.scheduler.situation import Owner, Snapshot

MOST, LEAST = 4.0, 0.25  # times the share by weight, for who used much less or more than that so far
NOBODY = Owner()


def find_due_gpus(snapshot: Snapshot, names: Iterable[str]) -> Mapping[str, float]:
    """The usable GPUs shared out to owners with work: by weight, and more to those who used less so far."""
    owners = {name: snapshot.owners.get(name, NOBODY) for name in sorted(names)}
    used = sum(owner.used_gpu_seconds for owner in owners.values())
    weights = sum(owner.weight for owner in owners.values())
    claims = {name: _claim(owner, owner.weight / weights, used) for name, owner in owners.items()}
    gpus = max(1, sum(gpu.usable for host in snapshot.hosts for gpu in host.gpus))
    return {name: gpus * claim / sum(claims.values()) for name, claim in claims.items()}


def _claim(owner: Owner, share: float, used_gpu_seconds: float) -> float:
    """The share by weight, times how far the owner's use lags behind it."""
    if not used_gpu_seconds:
        return share
    lag = share * used_gpu_seconds / max(owner.used_gpu_seconds, 1.0)
    return share * min(MOST, max(LEAST, lag))
