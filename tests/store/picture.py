"""All that SQL tells of jobs at one moment, and the laws that hold in it and between two moments."""

from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from service.db import tables
from service.domain.jobs import AttemptId, JobId
from service.domain.states import (
    ATTEMPT_TRANSITIONS,
    FINISHED,
    JOB_TRANSITIONS,
    UNDONE_BY_RETRY,
    Action,
    AttemptState,
    GpuState,
    JobState,
    Outcome,
    StopRequest,
)
from service.store.transaction import Transaction

Row = Mapping[str, Any]
STATE_AFTER = {
    Action.SUBMITTED: JobState.QUEUED,
    Action.RETRIED: JobState.QUEUED,
    Action.REQUEUED: JobState.QUEUED,
    Action.PREEMPTED: JobState.QUEUED,
    Action.RESUMED: JobState.QUEUED,
    Action.PAUSED: JobState.PAUSED,
    Action.DISPATCHED: JobState.RUNNING,
    Action.STARTED: JobState.RUNNING,
    Action.CANCEL_REQUESTED: JobState.RUNNING,
    Action.PAUSE_REQUESTED: JobState.RUNNING,
    Action.PREEMPT_REQUESTED: JobState.RUNNING,
    Action.SUCCEEDED: JobState.SUCCEEDED,
    Action.FAILED: JobState.FAILED,
    Action.CANCELLED: JobState.CANCELLED,
}
ENDED_BADLY_OR_EARLY = {Action.REQUEUED, Action.FAILED, Action.PREEMPTED, Action.PAUSED}
WANTED = {StopRequest.CANCEL: JobState.CANCELLED, StopRequest.PAUSE: JobState.PAUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All rows that tell of jobs at one moment, by their keys."""

    jobs: Mapping[JobId, Row]
    attempts: Mapping[AttemptId, Row]
    leases: Mapping[int, Row]
    audit: Sequence[Row]
    gpus: Mapping[str, Row]
    points: Mapping[AttemptId, Sequence[int]]
    checkpoints: Mapping[AttemptId, Sequence[int]]

    def attempts_of(self, job_id: JobId) -> Sequence[Row]:
        return [row for row in self.attempts.values() if row["job_id"] == job_id]

    def leases_of(self, attempt_id: AttemptId) -> Sequence[Row]:
        return [row for row in self.leases.values() if row["attempt_id"] == attempt_id]

    def audit_of(self, job_id: JobId) -> Sequence[Row]:
        return [row for row in self.audit if row["job_id"] == job_id]


def take_picture(tx: Transaction) -> Picture:
    def rows(table: Any) -> list[dict[str, Any]]:
        found = tx.connection.execute(select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in found]

    def steps(table: Any) -> Mapping[AttemptId, Sequence[int]]:
        found: dict[AttemptId, list[int]] = defaultdict(list)
        for row in rows(table):
            found[row["attempt_id"]].append(row["step"])
        return dict(found)

    return Picture(
        jobs={row["id"]: row for row in rows(tables.jobs)},
        attempts={row["id"]: row for row in rows(tables.attempts)},
        leases={row["id"]: row for row in rows(tables.leases)},
        audit=rows(tables.audit_entries),
        gpus={row["uuid"]: row for row in rows(tables.gpus)},
        points=steps(tables.metrics),
        checkpoints=steps(tables.checkpoints),
    )


def check_jobs(picture: Picture) -> None:
    """A running job has one live attempt, others have none; the audit tells how each came where it stands."""
    for job_id, job in picture.jobs.items():
        tries = picture.attempts_of(job_id)
        live = [row for row in tries if row["state"] is not AttemptState.ENDED]
        assert len(live) == (job["state"] is JobState.RUNNING)
        assert [row["number"] for row in tries] == list(range(1, len(tries) + 1))
        told = [STATE_AFTER[line["action"]] for line in picture.audit_of(job_id)]
        assert (told[0], told[-1]) == (JobState.QUEUED, job["state"])
        for origin, state in pairwise(told):
            assert state is origin or state in JOB_TRANSITIONS[origin]
        assert (job["state"] in FINISHED) == (job["ended_at"] is not None)
        assert job["preemptions"] == sum(
            line["action"] is Action.PREEMPTED for line in picture.audit_of(job_id)
        )


def check_lost_attempts(picture: Picture, *, saved: Container[AttemptId], retry_limit: int) -> None:
    """A job fails when more tries in a row than the limit came no further, saved nothing, and not before."""
    for job_id, job in picture.jobs.items():
        lost = 0
        for line in picture.audit_of(job_id):
            attempt = picture.attempts.get(line["attempt_id"])
            came_further = line["attempt_id"] in saved
            if line["action"] is Action.RETRIED:
                lost = 0
            elif attempt and line["action"] in ENDED_BADLY_OR_EARLY:
                fatal = line["action"] is Action.FAILED
                if attempt["cause"] in UNDONE_BY_RETRY and line["action"] is not Action.PAUSED:
                    lost = 1 if came_further else lost + 1
                    assert fatal == (lost > retry_limit)
                elif came_further and not fatal:
                    lost = 0
        assert job["lost_attempts"] == lost


def check_checkpoints(
    picture: Picture,
    *,
    saved: Mapping[AttemptId, Sequence[int]],
    best: Collection[tuple[AttemptId, int]],
    keep: int,
) -> None:
    """None is there twice or out of nothing; a job's newest and its best one are never given up."""
    for attempt_id, steps in picture.checkpoints.items():
        assert len(steps) == len(set(steps))
        assert set(steps) <= set(saved[attempt_id])
    for job_id in picture.jobs:
        ever = [
            (row["id"], step)
            for row in picture.attempts_of(job_id)
            for step in sorted(saved.get(row["id"], ()))
        ]
        for attempt_id, step in {*ever[-keep:], *[last for last in ever if last in best][-1:]}:
            assert step in picture.checkpoints[attempt_id]


def check_leases(picture: Picture) -> None:
    """Live attempts hold all the GPUs they asked for, on one host; nobody else holds any, and none twice."""
    held = [row["gpu_uuid"] for row in picture.leases.values() if row["released_at"] is None]
    assert len(held) == len(set(held))
    for attempt_id, attempt in picture.attempts.items():
        own = picture.leases_of(attempt_id)
        assert len(own) == picture.jobs[attempt["job_id"]]["gpus"]
        assert {picture.gpus[row["gpu_uuid"]]["host_name"] for row in own} == {attempt["host_name"]}
        live = attempt["state"] is not AttemptState.ENDED
        assert {row["released_at"] is None for row in own} == {live}


def check_moves_of_jobs(before: Picture, after: Picture, *, retried: set[JobId]) -> None:
    """States move along the table; what has finished stands still until a person retries it."""
    for job_id, old in before.jobs.items():
        new = after.jobs[job_id]
        assert new["state"] is old["state"] or new["state"] in JOB_TRANSITIONS[old["state"]]
        assert [new[name] for name in ("spec", "owner", "gpus", "submitted_at")] == [
            old[name] for name in ("spec", "owner", "gpus", "submitted_at")
        ]
        if old["state"] in FINISHED:
            assert new == old or job_id in retried


def check_moves_of_attempts(before: Picture, after: Picture) -> None:
    """States move along the table, tokens and offsets grow; what has ended stands still; wishes hold."""
    for attempt_id, old in before.attempts.items():
        new = after.attempts[attempt_id]
        assert new["state"] is old["state"] or new["state"] in ATTEMPT_TRANSITIONS[old["state"]]
        assert new["token"] >= old["token"]
        assert new["events_offset"] >= old["events_offset"]
        if old["state"] is AttemptState.ENDED:
            assert new == old
        elif new["outcome"] is Outcome.INTERRUPTED or new["cause"] in UNDONE_BY_RETRY:
            wanted = WANTED.get(new["stop_request"])
            assert wanted is None or after.jobs[new["job_id"]]["state"] is wanted
        if old["stop_request"] is not None:
            assert list(StopRequest).index(new["stop_request"]) >= list(StopRequest).index(
                old["stop_request"]
            )


def check_growth(before: Picture, after: Picture) -> None:
    """The audit only grows; a lease is only given back; new ones are on GPUs that can be used."""
    assert after.audit[: len(before.audit)] == before.audit
    for lease_id, lease in after.leases.items():
        old = before.leases.get(lease_id)
        if old is None:
            gpu = before.gpus[lease["gpu_uuid"]]
            assert (gpu["present"], gpu["state"]) == (True, GpuState.AVAILABLE)
        elif old["released_at"] is None:
            assert {**lease, "released_at": None} == old
        else:
            assert lease == old
