"""Computes how many GPUs at once are due to each owner."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.scheduler.policy.situation import Owner, Snapshot

MOST, LEAST = 4.0, 0.25  # times the share by weight, for owners who have used much less or more than it
GAIN = 8  # GPUs are whole: a use that is off by a tenth must move the due number by half a GPU
NOBODY = Owner()


@dataclass(frozen=True, slots=True)
class Due:
    """The part of the usable GPUs that is due to an owner."""

    gpus: float
    """How many GPUs are due at once."""
    lags: bool
    """Whether the owner's use so far is within the owner's share."""

    def covers(self, gpus: int, *, before: int) -> bool:
        """Whether `gpus` more GPUs are due after `before`: at least half of them, or the first ones."""
        return before + gpus / 2 <= self.gpus or (before == 0 and self.lags)


def share_out(snapshot: Snapshot, names: Iterable[str]) -> Mapping[str, Due]:
    """Divide the usable GPUs among owners with work: by weight, and more for owners who have used less."""
    owners = {name: snapshot.owners.get(name, NOBODY) for name in sorted(names)}
    used = sum(owner.used_gpu_seconds for owner in owners.values())
    weights = sum(owner.weight for owner in owners.values())
    shares = {name: owner.weight / weights for name, owner in owners.items()}
    lags = {name: _lag(owner, shares[name], used) for name, owner in owners.items()}
    claims = {name: shares[name] * min(MOST, max(LEAST, lag**GAIN)) for name, lag in lags.items()}
    scale = max(1, sum(gpu.usable for host in snapshot.hosts for gpu in host.gpus)) / sum(claims.values())
    return {name: Due(claim * scale, lags[name] >= 1.0) for name, claim in claims.items()}


def _lag(owner: Owner, share: float, used_gpu_seconds: float) -> float:
    """By which factor the owner's use must grow to equal the owner's share of all use."""
    if not used_gpu_seconds:
        return 1.0
    return share * used_gpu_seconds / max(owner.used_gpu_seconds, 1.0)
