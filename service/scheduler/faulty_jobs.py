"""Keeps a job that cannot be planned from stopping the plan for everybody."""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import structlog

from service.domain.jobs import JobId, Waiting
from service.scheduler.policy import planner
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import QueuedJob, RunningJob, Snapshot

LONGEST_SEARCH_SECONDS = 1.0  # in one tick, which holds the write lock

LONGEST_ERROR = 200

Result = TypeVar("Result")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FaultyJobs:
    """The jobs whose planning failed, with the error of each."""

    errors: dict[JobId, Exception] = field(default_factory=dict)

    def guard(self, job_id: JobId, make: Callable[[], Result]) -> Result | None:
        """Return what `make` makes of a job; on any error, note it and return None."""
        try:
            return make()
        except Exception as error:
            self.errors[job_id] = error
            return None


def plan_without_faulty(
    snapshot: Snapshot, now: datetime, *, settings: PolicySettings, faulty: FaultyJobs
) -> Plan:
    """Plan; if that fails, find the jobs that cause the failure, note them, and plan without them.

    A faulty queued job is left out. A faulty running job keeps its GPUs, and the plan ignores its other
    values. If the search takes too long, the jobs behind the next faulty job are planned in the next tick.
    """
    queued, running = list(snapshot.queued), list(snapshot.running)
    until = time.monotonic() + LONGEST_SEARCH_SECONDS

    def plan(queued: Sequence[QueuedJob], running: Sequence[RunningJob]) -> Plan:
        return planner.plan(replace(snapshot, queued=queued, running=running), now, settings=settings)

    while True:
        try:
            return plan(queued, running)
        except Exception as error:
            if _works(lambda: plan([], running)):
                index = _find_first(len(queued), lambda n: not _works(lambda: plan(queued[:n], running))) or 0
                if time.monotonic() > until and faulty.errors:
                    del queued[index:]
                else:
                    faulty.errors[queued.pop(index).id] = error
                continue
            found = _find_first(len(running), lambda n: _works(lambda: plan([], _let_be(running, n))))
            if found is None or running[found].id in faulty.errors:
                log.exception("scheduler", action="plan_failed")
                why = f"the scheduler cannot plan ({describe(error)}); see its log"
                return Plan(waiting=[Waiting(job_id=job.id, reason=why) for job in queued])
            faulty.errors[running[found].id] = error
            running[found : found + 1] = _let_be(running[found : found + 1], 1)


def describe(error: Exception) -> str:
    """Describe an error in a few words."""
    return f"{type(error).__name__}: {str(error)[:LONGEST_ERROR]}"


def _works(act: Callable[[], object]) -> bool:
    try:
        act()
    except Exception:
        return False
    return True


def _find_first(length: int, met: Callable[[int], bool]) -> int | None:
    """The index of the first job with which `met` holds for the jobs up to it; None if it never holds."""
    index = bisect_left(range(1, length + 1), True, key=met)
    return index if index < length else None


def _let_be(running: Sequence[RunningJob], count: int) -> list[RunningJob]:
    """The jobs, the first ones marked as stopping: they hold their GPUs, and nothing else is computed."""
    return [
        replace(
            job,
            attained_gpu_seconds=0.0,
            expected_seconds=None,
            gittins_seconds=None,
            limit_seconds=None,
            preempted_at=(),
            stopping=True,
        )
        if number < count
        else job
        for number, job in enumerate(running)
    ]
