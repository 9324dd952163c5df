"""Attempts: create, claim by compare-and-set, and write with a fencing token."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, String, cast, exists, func, insert, literal, select, update

from service.db.tables import attempt_members, attempts, checkpoints, hosts, jobs
from service.domain.jobs import Attempt, AttemptId, JobId, Progress
from service.domain.states import AttemptState, Cause, JobState, Outcome, StopRequest
from service.domain.stored import find_stored, load_object
from service.domain.stored_spec import MADE_BY_NEWER
from service.errors import Fenced
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

_COLUMNS = columns_of(attempts, Attempt)
_LIVE = attempts.c.state != AttemptState.ENDED


def _to_attempt(row: RowMapping) -> Attempt:
    return to_value(Attempt, row, progress=find_stored(Progress, load_object(row["progress"])))


def create_attempt(tx: Transaction, job_id: JobId, *, host_name: str) -> Attempt:
    """Store a dispatched attempt with the job's next number; it begins at the newest checkpoint's epoch."""
    last = select(func.max(attempts.c.number)).where(attempts.c.job_id == job_id)
    number = (tx.connection.execute(last).scalar() or 0) + 1
    of_job = checkpoints.join(attempts, checkpoints.c.attempt_id == attempts.c.id)
    furthest = select(func.max(checkpoints.c.epoch)).select_from(of_job).where(attempts.c.job_id == job_id)
    epoch = tx.connection.execute(furthest).scalar() or 1  # the epoch that it continues in
    statement = insert(attempts).values(
        job_id=job_id,
        number=number,
        host_name=host_name,
        state=AttemptState.DISPATCHED,
        reason="",
        stop_reason="",
        token=0,
        run_dir="",
        events_offset=0,
        stalls=0,
        stall_seconds=0.0,
        epochs_completed=epoch - 1,
        created_at=tx.now,
        sent_at=tx.now,
    )
    attempt_id = tx.connection.execute(statement.returning(attempts.c.id)).scalar_one()
    return get_attempt(tx, AttemptId(attempt_id))


def get_attempt(tx: Transaction, attempt_id: AttemptId) -> Attempt:
    row = tx.connection.execute(select(*_COLUMNS).where(attempts.c.id == attempt_id)).mappings().one()
    return _to_attempt(row)


def list_attempts(tx: Transaction, job_id: JobId) -> Sequence[Attempt]:
    """A job's attempts, oldest first."""
    statement = select(*_COLUMNS).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
    return [_to_attempt(row) for row in tx.connection.execute(statement).mappings()]


def list_live_attempts(tx: Transaction, *, host_name: str | None = None) -> Sequence[Attempt]:
    """Attempts that have not ended, on one host or on all."""
    statement = select(*_COLUMNS).where(_LIVE).order_by(attempts.c.id)
    if host_name is not None:
        statement = statement.where(attempts.c.host_name == host_name)
    return [_to_attempt(row) for row in tx.connection.execute(statement).mappings()]


def list_ended_attempts(tx: Transaction) -> Sequence[Attempt]:
    """Attempts that a worker had claimed and that have ended, oldest first."""
    ended = (attempts.c.state == AttemptState.ENDED) & (attempts.c.run_dir != "")
    statement = select(*_COLUMNS).where(ended).order_by(attempts.c.id)
    return [_to_attempt(row) for row in tx.connection.execute(statement).mappings()]


def list_ended_in(tx: Transaction, run_dirs: Iterable[str], *, host_name: str) -> Sequence[Attempt]:
    """A host's claimed and ended attempts whose run folder may be one of these, oldest first.

    Folders are compared by their last two names, `<job>/<attempt number>`: the rest may be a link.
    """
    places = {"/".join(Path(run_dir).parts[-2:]) for run_dir in run_dirs}
    place = cast(attempts.c.job_id, String) + "/" + cast(attempts.c.number, String)
    ended = (attempts.c.state == AttemptState.ENDED) & (attempts.c.run_dir != "")
    statement = select(*_COLUMNS).where(attempts.c.host_name == host_name, ended, place.in_(places))
    return [_to_attempt(row) for row in tx.connection.execute(statement.order_by(attempts.c.id)).mappings()]


def list_attempts_of(tx: Transaction, states: Collection[JobState]) -> Sequence[Attempt]:
    """The claimed attempts of all jobs in one of these states, oldest first."""
    of_jobs = attempts.c.job_id.in_(select(jobs.c.id).where(jobs.c.state.in_(states)))
    statement = select(*_COLUMNS).where(of_jobs, attempts.c.run_dir != "").order_by(attempts.c.id)
    return [_to_attempt(row) for row in tx.connection.execute(statement).mappings()]


def list_numbers(tx: Transaction) -> frozenset[tuple[int, int]]:
    """The job number and attempt number of every attempt."""
    statement = select(attempts.c.job_id, attempts.c.number)
    return frozenset((job_id, number) for job_id, number in tx.connection.execute(statement))


def find_live_attempt(tx: Transaction, job_id: JobId) -> Attempt | None:
    """The attempt of a job that has not ended, or None; there is at most one."""
    row = (
        tx.connection.execute(select(*_COLUMNS).where(attempts.c.job_id == job_id, _LIVE)).mappings().first()
    )
    return _to_attempt(row) if row else None


def list_latest_attempts(tx: Transaction, job_ids: Collection[JobId]) -> Sequence[Attempt]:
    """The newest attempt of each of these jobs."""
    return _list_newest(tx, attempts.c.job_id.in_(job_ids))


def list_latest_of(
    tx: Transaction, states: Collection[JobState], *, ended_since: datetime | None = None
) -> Sequence[Attempt]:
    """The newest attempt of each job that is in these states or has ended since."""
    chosen = select(jobs.c.id).where(jobs.c.state.in_(states))
    if ended_since is not None:
        chosen = chosen.where(jobs.c.ended_at >= ended_since)
    return _list_newest(tx, attempts.c.job_id.in_(chosen))


def _list_newest(tx: Transaction, condition: ColumnElement[bool]) -> Sequence[Attempt]:
    newest = select(func.max(attempts.c.id)).where(condition).group_by(attempts.c.job_id)
    statement = select(*_COLUMNS).where(attempts.c.id.in_(newest))
    return [_to_attempt(row) for row in tx.connection.execute(statement).mappings()]


def claim(
    tx: Transaction, attempt_id: AttemptId, *, worker: str, host_name: str, runs_dir: str
) -> Attempt | None:
    """Claim a dispatched attempt for a worker; None if it is claimed, has ended, or is another host's.

    Its run folder will be `RUNS_DIR/<job>/<attempt number>` on that host.
    """
    job, number = cast(attempts.c.job_id, String), cast(attempts.c.number, String)
    statement = (
        update(attempts)
        .where(
            attempts.c.id == attempt_id,
            attempts.c.state == AttemptState.DISPATCHED,
            attempts.c.host_name == host_name,
        )
        .values(
            state=AttemptState.STARTING,
            worker=worker,
            token=attempts.c.token + 1,
            heartbeat_at=tx.now,
            run_dir=literal(f"{runs_dir}/") + job + "/" + number,
        )
    )
    return get_attempt(tx, attempt_id) if tx.connection.execute(statement).rowcount == 1 else None


def adopt(tx: Transaction, attempt: Attempt, *, worker: str) -> Attempt:
    """Take over a claimed attempt from an earlier worker of the same host, which can no longer write to it.

    Raises:
        Fenced: it ended, or another worker took it, since `attempt` was read.
    """
    write(tx, attempt, worker=worker, token=attempt.token + 1, heartbeat_at=tx.now)
    return get_attempt(tx, attempt.id)


def write(tx: Transaction, attempt: Attempt, **values: object) -> None:
    """Change an attempt that this worker has claimed and still owns.

    Raises:
        Fenced: it ended, or another worker took it; nothing was changed.
    """
    statement = (
        update(attempts)
        .where(attempts.c.id == attempt.id, attempts.c.token == attempt.token, _LIVE)
        .values({"token": attempt.token, **values})
    )
    if tx.connection.execute(statement).rowcount != 1:
        raise Fenced(f"Attempt {attempt.id} is no longer this worker's (token {attempt.token})")


def write_progress(tx: Transaction, attempt: Attempt, progress: Progress) -> None:
    """Store the trainer's progress."""
    write(tx, attempt, progress=json.dumps(asdict(progress)))


def write_environment(tx: Transaction, attempt: Attempt, environment: Mapping[str, str | int]) -> None:
    """Store in what environment the attempt trains."""
    write(tx, attempt, environment=json.dumps(environment))


def find_environment(tx: Transaction, attempt_id: AttemptId | None = None) -> Mapping[str, Any]:
    """In what environment an attempt has trained, or the newest of all that said; empty if it has not."""
    statement = select(attempts.c.environment)
    if attempt_id is not None:
        statement = statement.where(attempts.c.id == attempt_id)
    else:
        statement = (
            statement.where(attempts.c.environment.is_not(None)).order_by(attempts.c.id.desc()).limit(1)
        )
    return load_object(tx.connection.execute(statement).scalar())


def set_running_if_starting(
    tx: Transaction, attempt: Attempt, *, start_step: int, exact: bool = True
) -> None:
    """Record the first step; a second call changes nothing.

    `exact` is False where the attempt resumed in another environment, so that its weights may differ.
    """
    if get_attempt(tx, attempt.id).state is AttemptState.STARTING:
        running = AttemptState.RUNNING
        write(tx, attempt, state=running, started_at=tx.now, start_step=start_step, exact=exact)


def end_if_live(
    tx: Transaction, attempt: Attempt, outcome: Outcome, *, cause: Cause | None = None, reason: str
) -> bool:
    """End an attempt if its token is unchanged; False if it has already ended."""
    statement = (
        update(attempts)
        .where(attempts.c.id == attempt.id, attempts.c.token == attempt.token, _LIVE)
        .values(state=AttemptState.ENDED, outcome=outcome, cause=cause, reason=reason, ended_at=tx.now)
    )
    return tx.connection.execute(statement).rowcount == 1


def set_stop_request(
    tx: Transaction, attempt_id: AttemptId, stop_request: StopRequest, *, reason: str = ""
) -> bool:
    """Store a stop request for a live attempt; False if it has ended or has a stronger request."""
    order = list(StopRequest)
    gives_way = attempts.c.stop_request.is_(None) | attempts.c.stop_request.in_(
        order[: order.index(stop_request) + 1]
    )
    statement = update(attempts).where(attempts.c.id == attempt_id, _LIVE, gives_way)
    return (
        tx.connection.execute(statement.values(stop_request=stop_request, stop_reason=reason)).rowcount == 1
    )


def heartbeat(tx: Transaction, attempt_ids: Sequence[AttemptId], *, worker: str) -> Sequence[Attempt]:
    """Renew these attempts of a worker; return those that are still its own, with their stop requests."""
    mine = attempts.c.id.in_(attempt_ids) & (attempts.c.worker == worker) & _LIVE
    tx.connection.execute(update(attempts).where(mine).values(heartbeat_at=tx.now))
    return [_to_attempt(row) for row in tx.connection.execute(select(*_COLUMNS).where(mine)).mappings()]


def list_claimed_attempts(tx: Transaction) -> Sequence[Attempt]:
    """Attempts that a worker has claimed and that have not ended."""
    claimed = attempts.c.state.in_([AttemptState.STARTING, AttemptState.RUNNING])
    return [_to_attempt(row) for row in tx.connection.execute(select(*_COLUMNS).where(claimed)).mappings()]


def list_unclaimed_attempts(tx: Transaction) -> Sequence[Attempt]:
    """Attempts that were sent to a worker and not claimed."""
    statement = select(*_COLUMNS).where(attempts.c.state == AttemptState.DISPATCHED)
    return [_to_attempt(row) for row in tx.connection.execute(statement).mappings()]


def find_newest_on(tx: Transaction, host_name: str) -> Attempt | None:
    """The newest attempt on a host, or None."""
    statement = select(*_COLUMNS).where(attempts.c.host_name == host_name).order_by(attempts.c.id.desc())
    row = tx.connection.execute(statement.limit(1)).mappings().first()
    return _to_attempt(row) if row else None


def list_refused_jobs(tx: Transaction) -> frozenset[JobId]:
    """Queued jobs of a newer cnnctl that the current worker of some host has refused."""
    of_job = attempts.c.job_id == jobs.c.id
    by_chief = (hosts.c.worker == attempts.c.worker) & attempts.c.reason.startswith(MADE_BY_NEWER)
    member = attempt_members.c
    by_other = (hosts.c.worker == member.worker) & member.reason.startswith(MADE_BY_NEWER)
    in_member = exists().where(member.attempt_id == attempts.c.id, by_other)
    refused = exists().where(of_job, hosts.c.heartbeat_at.is_not(None), by_chief | in_member)
    waiting = (jobs.c.state == JobState.QUEUED) & jobs.c.reason.startswith(MADE_BY_NEWER)
    statement = select(jobs.c.id).where(waiting, refused)
    return frozenset(JobId(number) for number in tx.connection.execute(statement).scalars())


def set_sent(tx: Transaction, attempt_id: AttemptId) -> None:
    """Record that an attempt was sent again now."""
    tx.connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(sent_at=tx.now))
