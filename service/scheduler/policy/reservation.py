"""Reserves GPUs for a blocked gang on the host or hosts where it will fit first."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from service.scheduler.policy.ordering import Ranks
from service.scheduler.policy.placement import HostCapacity, count_suited
from service.scheduler.policy.preemption import Holder, yields_in_seconds
from service.scheduler.policy.situation import QueuedJob

STOP_SECONDS = 2.0  # by then, a job that was told to stop has written its checkpoint


@dataclass(frozen=True, slots=True)
class Prospect:
    """When a host will have enough free GPUs for a job."""

    capacity: HostCapacity
    sure_seconds: float
    """When it surely will."""
    expected_seconds: float
    """When it will if its jobs end as expected."""


def list_prospects(
    capacities: Sequence[HostCapacity], job: QueuedJob, rank: int, ranks: Ranks, *, count: int
) -> Sequence[Prospect]:
    """The unreserved hosts that will first have enough free GPUs for the job or member; none if too few."""
    open_capacities = [
        capacity for capacity in capacities if capacity.reserved_rank is None and capacity.could_hold(job)
    ]
    prospects = [_look_ahead(capacity, job, rank, ranks) for capacity in open_capacities]
    if len(prospects) < count:
        return ()
    prospects.sort(key=lambda one: (one.sure_seconds, one.expected_seconds, one.capacity.host.name))
    return prospects[:count]


def _look_ahead(capacity: HostCapacity, job: QueuedJob, rank: int, ranks: Ranks) -> Prospect:
    missing = capacity.need(job) - count_suited(capacity.free, job)
    sure = [(STOP_SECONDS, count_suited(capacity.leaving, job))]
    expected = list(sure)
    for holder in capacity.holders:
        count = count_suited(holder.frees, job)
        seconds = yields_in_seconds(holder, rank, ranks)
        sure.append((seconds, count))
        expected.append((min(seconds, expected_end_seconds(holder)), count))
    return Prospect(capacity, _when(sure, missing), _when(expected, missing))


def expected_end_seconds(holder: Holder) -> float:
    """When the job is expected to end by itself; infinity if nothing is known."""
    return inf if holder.job.expected_seconds is None else holder.job.expected_seconds


def _when(freed: Sequence[tuple[float, int]], missing: int) -> float:
    """When enough GPUs have been freed, given when each holder frees how many."""
    if missing <= 0:
        return 0.0
    for seconds, count in sorted(freed):
        missing -= count
        if missing <= 0:
            return seconds
    return inf


def reserve(prospects: Sequence[Prospect], job: QueuedJob, rank: int) -> None:
    """Reserve the free GPUs of these hosts for the job or its members until each has as many as it needs."""
    for prospect in prospects:
        capacity = prospect.capacity
        before = list(capacity.free)
        capacity.take(job, [capacity.free])
        capacity.reserved = [gpu for gpu in before if gpu not in capacity.free]
        capacity.reserved_rank = rank
        capacity.in_seconds = max(one.sure_seconds for one in prospects)
