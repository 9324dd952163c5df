"""The parameters of the scheduling policy."""

from dataclasses import dataclass

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """The parameters of the policy; the defaults were chosen by simulation on real jobs."""

    band_gpu_seconds: float = 900.0
    """The service that a job gets in the first band, in GPU-seconds: a quarter of a GPU-hour."""
    band_growth: float = 2.0
    """The end of each band, as a multiple of the end of the band before."""
    bands: int = 14
    """The number of bands; the last band has no end."""
    quantum_seconds: float = 30.0
    """How long a job keeps its GPUs before a job of its class may preempt it."""
    preemptions_per_hour: int = 6
    """How often in an hour jobs of its class may preempt a job."""
    patience_seconds: float = 2 * DAY_SECONDS
    """A job that has waited for this long without a break counts as a job of the first band."""
    turn_seconds: float = 3_600.0
    """How long it still does after its start, so that a long wait earns more than one quantum."""
    half_life_seconds: float = 7 * DAY_SECONDS
    """The time after which used GPU-seconds count half; the caller of the policy applies it."""
    preemption: bool = True
    """Whether waiting jobs may preempt running jobs."""

    def band_ends(self) -> tuple[float, ...]:
        """The attained GPU-seconds at which each band ends; the last band has no end and is left out."""
        return tuple(self.band_gpu_seconds * self.band_growth**number for number in range(self.bands - 1))
