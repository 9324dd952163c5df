"""Orders the jobs: by priority class, then within or beyond the owner's share, then by band."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.jobs import JobId
from service.domain.states import URGENCY, Priority
from service.scheduler.policy.fair_share import Due, share_out
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import QueuedJob, RunningJob, Snapshot

Line = tuple[int, int, float, datetime, JobId, QueuedJob]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Turns class, share and band into one number; a lower rank goes first."""

    settings: PolicySettings
    ends: tuple[float, ...]
    """The attained GPU-seconds at which each band ends; the last band has no end."""

    def rank(self, priority: Priority, band: int, *, beyond_share: bool) -> int:
        return ((URGENCY[Priority.HIGH] - URGENCY[priority]) * 2 + beyond_share) * self.settings.bands + band

    def band(self, attained_gpu_seconds: float, price_gpu_seconds: float | None) -> int:
        """The first band depends on the attained service, the others on the price of finishing, if known."""
        band = bisect_right(self.ends, attained_gpu_seconds)
        if band == 0 or price_gpu_seconds is None:
            return band
        return max(1, bisect_right(self.ends, price_gpu_seconds))

    def band_of_queued(self, job: QueuedJob, now: datetime) -> int:
        """The band of a waiting job: the first band after it has waited for longer than the patience."""
        band = self.band(job.attained_gpu_seconds, _price(job))
        if band and (now - job.queued_at).total_seconds() >= self.settings.patience_seconds:
            return 0
        return band

    def band_of_running(self, job: RunningJob, now: datetime) -> int:
        """The band of a running job; a job that had waited too long keeps the first band for a turn."""
        band = self.band(job.attained_gpu_seconds, _price(job))
        return 0 if band and self.turn_left_seconds(job, now) > 0.0 else band

    def turn_left_seconds(self, job: RunningJob, now: datetime) -> float:
        """For how many seconds a job that had waited too long still counts as a job of the first band."""
        if (job.started_at - job.queued_at).total_seconds() < self.settings.patience_seconds:
            return 0.0
        return max(0.0, self.settings.turn_seconds - (now - job.started_at).total_seconds())

    def group(self, rank: int) -> int:
        """The number shared by all ranks that differ only in their band."""
        return rank // self.settings.bands

    def inverse_class(self, rank: int) -> int:
        """0 for the highest priority class."""
        return rank // (2 * self.settings.bands)


def _price(job: QueuedJob | RunningJob) -> float | None:
    return None if job.gittins_seconds is None else job.gittins_seconds * job.gpus


@dataclass(frozen=True, slots=True)
class Ordered:
    """The ranks of all jobs."""

    queued: Sequence[tuple[int, QueuedJob]]
    """The rank of each waiting job, from first to last."""
    running: Mapping[JobId, int]
    """The rank of each running job."""


def order(snapshot: Snapshot, ready: Sequence[QueuedJob], now: datetime, ranks: Ranks) -> Ordered:
    """Rank all jobs. In the first band the earlier submission goes first, in other bands the lower price."""
    waiting = sorted(_make_line(job, now, ranks) for job in ready)
    bands = {job.id: ranks.band_of_running(job, now) for job in snapshot.running}
    owners = {job.owner for job in snapshot.running} | {job.owner for job in ready}
    if len(owners) > 1:
        return _order_by_share(snapshot, waiting, bands, ranks, share_out(snapshot, owners))
    return Ordered(
        [(ranks.rank(job.priority, band, beyond_share=False), job) for _, band, _, _, _, job in waiting],
        {job.id: ranks.rank(job.priority, bands[job.id], beyond_share=False) for job in snapshot.running},
    )


def _make_line(job: QueuedJob, now: datetime, ranks: Ranks) -> Line:
    band = ranks.band_of_queued(job, now) if job.attained_gpu_seconds else 0
    price = job.gittins_seconds or 0.0 if band else 0.0
    return -URGENCY[job.priority], band, price, job.submitted_at, job.id, job


def _order_by_share(
    snapshot: Snapshot,
    waiting: Sequence[Line],
    bands: Mapping[JobId, int],
    ranks: Ranks,
    dues: Mapping[str, Due],
) -> Ordered:
    """Walk through each owner's jobs, best first: the jobs after the due number of GPUs are beyond the share.

    In one band, running jobs come before waiting jobs. In one rank, the job goes first whose owner has
    received the smaller part of the due GPUs.
    """
    lines: list[tuple[int, int, int, float, datetime, JobId, RunningJob | QueuedJob]] = [
        (-URGENCY[job.priority], bands[job.id], 0, 0.0, job.submitted_at, job.id, job)
        for job in snapshot.running
    ]
    lines += [(minus, band, 1, price, at, number, job) for minus, band, price, at, number, job in waiting]
    lines.sort()
    given = dict.fromkeys(dues, 0)
    running: dict[JobId, int] = {}
    queued: list[tuple[int, float, float, datetime, int, QueuedJob]] = []
    for _, band, _, price, at, number, job in lines:
        before, due = given[job.owner], dues[job.owner]
        given[job.owner] = before + job.gpus
        rank = ranks.rank(job.priority, band, beyond_share=not due.covers(job.gpus, before=before))
        if isinstance(job, RunningJob):
            running[number] = rank
        else:
            queued.append((rank, before / due.gpus, price, at, number, job))
    queued.sort()
    return Ordered([(line[0], line[-1]) for line in queued], running)
