"""How many GPUs at once are due to each owner."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.scheduler.policy.situation import Owner, Snapshot

MOST, LEAST = 4.0, 0.25  # times the share by weight, for who used much less or more than that so far
GAIN = 8  # GPUs are whole: a use that is off by a tenth must move what is due by half a GPU
NOBODY = Owner()


@dataclass(frozen=True, slots=True)
class Due:
    """So many of the usable GPUs are due to an owner; `lags` when the use so far is within the share."""

    gpus: float
    lags: bool

    def covers(self, gpus: int, *, before: int) -> bool:
        """Whether so many GPUs are due after those `before`: at least half of them, or the first at all."""
        return before + gpus / 2 <= self.gpus or (before == 0 and self.lags)


def share_out(snapshot: Snapshot, names: Iterable[str]) -> Mapping[str, Due]:
    """The usable GPUs shared out to owners with work: by weight, and more to those who used less so far."""
    owners = {name: snapshot.owners.get(name, NOBODY) for name in sorted(names)}
    used = sum(owner.used_gpu_seconds for owner in owners.values())
    weights = sum(owner.weight for owner in owners.values())
    shares = {name: owner.weight / weights for name, owner in owners.items()}
    lags = {name: _lag(owner, shares[name], used) for name, owner in owners.items()}
    claims = {name: shares[name] * min(MOST, max(LEAST, lag**GAIN)) for name, lag in lags.items()}
    scale = max(1, sum(gpu.usable for host in snapshot.hosts for gpu in host.gpus)) / sum(claims.values())
    return {name: Due(claim * scale, lags[name] >= 1.0) for name, claim in claims.items()}


def _lag(owner: Owner, share: float, used_gpu_seconds: float) -> float:
    """How many times the owner's use would have to grow to be the share of what all have used."""
    if not used_gpu_seconds:
        return 1.0
    return share * used_gpu_seconds / max(owner.used_gpu_seconds, 1.0)
