"""The knobs of the scheduling policy."""

from dataclasses import dataclass

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """What the policy weighs; the defaults were chosen by simulation on real jobs."""

    band_gpu_seconds: float = 900.0
    """Service that a job gets in the first band, in GPU-seconds: a quarter of a GPU-hour."""
    band_growth: float = 2.0
    """How many times further the end of each band lies than that of the one before."""
    bands: int = 14
    """How many bands there are; the last has no end."""
    quantum_seconds: float = 30.0
    """How long a job keeps its GPUs before another of its class may take them."""
    preemptions_per_hour: int = 6
    """How often in an hour a job may be stopped for another of its class."""
    patience_seconds: float = 2 * DAY_SECONDS
    """A job that has waited for so long in a row counts as one of the first band."""
    turn_seconds: float = 3_600.0
    """For how long it still does once it has started, so that a long wait ends in more than a quantum."""
    half_life_seconds: float = 7 * DAY_SECONDS
    """After how long used GPU-seconds count half; the caller of the policy applies it."""
    preemption: bool = True
    """Whether running jobs may be stopped for waiting ones."""

    def band_ends(self) -> tuple[float, ...]:
        """The attained GPU-seconds at which each band ends, without the last, which does not."""
        return tuple(self.band_gpu_seconds * self.band_growth**number for number in range(self.bands - 1))
