"""Keeps a job that cannot be planned from stopping the plan for everybody."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import structlog

from service.domain.jobs import JobId
from service.scheduler.policy import planner
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import QueuedJob, Snapshot

Result = TypeVar("Result")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FaultyJobs:
    """The jobs that something failed for, whatever it was, and how."""

    errors: dict[JobId, Exception] = field(default_factory=dict)

    def guard(self, job_id: JobId, make: Callable[[], Result]) -> Result | None:
        """What `make` makes of a job; None, and a note of the error, where it fails."""
        try:
            return make()
        except Exception as error:
            self.errors[job_id] = error
            return None


def plan_without_faulty(
    snapshot: Snapshot, now: datetime, *, settings: PolicySettings, faulty: FaultyJobs
) -> Plan:
    """Plan; where that fails, leave out the queued jobs for which it does, and note them.

    Where it fails without any queued job, nobody starts.
    """
    queued = list(snapshot.queued)
    while True:
        try:
            return planner.plan(replace(snapshot, queued=queued), now, settings=settings)
        except Exception as error:
            place = _find_fault(snapshot, queued, now, settings)
            if place is None:
                log.exception("scheduler", action="plan_failed")
                return Plan()
            faulty.errors[queued.pop(place).id] = error


def _find_fault(
    snapshot: Snapshot, queued: Sequence[QueuedJob], now: datetime, settings: PolicySettings
) -> int | None:
    """The place of the job with which planning begins to fail, None where it does without any."""

    def fails(count: int) -> bool:
        try:
            planner.plan(replace(snapshot, queued=queued[:count]), now, settings=settings)
        except Exception:
            return True
        return False

    if fails(0):
        return None
    return bisect_left(range(1, len(queued)), True, key=fails)
