"""Keeps the queued jobs as the policy sees them, and makes those anew that something happened to."""

from collections.abc import Callable, Collection, Mapping, Sequence

from service.domain.jobs import Job, JobId
from service.domain.states import JobState
from service.scheduler.policy.situation import Host, QueuedJob

NOTHING: Mapping[JobId, JobState] = {}


class KeptEntries:
    """Depends on jobs that `forget` has not named, on hosts, and on what forecasts have learned."""

    def __init__(self) -> None:
        self._kept: dict[JobId, QueuedJob] = {}
        self._basis: tuple[Sequence[Host], int] | None = None

    def forget(self, job_ids: Collection[JobId]) -> None:
        for job_id in job_ids:
            self._kept.pop(job_id, None)

    def forget_all(self) -> None:
        self._kept.clear()

    def list_entries(
        self,
        queued: Sequence[Job],
        unmet: Mapping[JobId, Mapping[JobId, JobState]],
        make: Callable[[Job], QueuedJob | None],
        *,
        hosts: Sequence[Host],
        learned: int,
    ) -> Sequence[QueuedJob]:
        """The entries of these jobs; one that cannot be made is left out."""
        if (hosts, learned) != self._basis:
            self._kept.clear()
            self._basis = (hosts, learned)
        found = []
        for job in queued:
            entry = self._kept.get(job.id)
            if entry is None or entry.unmet != unmet.get(job.id, NOTHING):
                entry = make(job)
                if entry is None:
                    continue
                self._kept[job.id] = entry
            found.append(entry)
        return found
