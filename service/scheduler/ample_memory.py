"""Keeps jobs to GPUs whose memory is surely enough for them, while there are any."""

from collections.abc import Sequence
from dataclasses import replace

from service.scheduler.policy.placement import empty_room, part_of
from service.scheduler.policy.situation import Host, QueuedJob


class AmpleMemory:
    """Of which jobs the hosts that are up have enough GPUs with the memory that is surely enough.

    The others are put on GPUs that are only not surely too small: rather that than no GPU at all.
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._capacities = [empty_room(host) for host in hosts]
        self._known: dict[tuple[int, int, str | None, str | None, int], bool] = {}

    def ask(self, job: QueuedJob, *, ample_mib: int | None) -> QueuedJob:
        """The job as it is to be placed."""
        if not ample_mib:
            return job
        wanted = replace(job, memory_mib=ample_mib)
        key = (job.gpus, job.hosts, job.host, job.gpu_model, ample_mib)
        if key not in self._known:
            part = part_of(wanted)
            self._known[key] = sum(room.could_hold(part) for room in self._capacities) >= job.hosts
        return wanted if self._known[key] else job
