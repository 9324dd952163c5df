"""Keeps jobs on GPUs whose memory is surely enough, as long as enough such GPUs exist."""

from collections.abc import Sequence
from dataclasses import replace

from service.scheduler.policy.placement import empty_room, member_of
from service.scheduler.policy.situation import Host, QueuedJob


class AmpleMemory:
    """Tells for which jobs the hosts that are up have enough GPUs whose memory is surely enough.

    Any other job may use each GPU that is not surely too small: that is better than no GPU at all.
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._capacities = [empty_room(host) for host in hosts]
        self._known: dict[tuple[int, int, str | None, str | None, int], bool] = {}

    def ask(self, job: QueuedJob, *, ample_mib: int | None) -> QueuedJob:
        """Return the job with the memory that the placement must respect."""
        if not ample_mib:
            return job
        wanted = replace(job, memory_mib=ample_mib)
        key = (job.gpus, job.hosts, job.host, job.gpu_model, ample_mib)
        if key not in self._known:
            member = member_of(wanted)
            self._known[key] = sum(capacity.could_hold(member) for capacity in self._capacities) >= job.hosts
        return wanted if self._known[key] else job
