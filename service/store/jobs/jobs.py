"""Jobs: create, read, and change their state by compare-and-set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import RowMapping, bindparam, func, insert, select, text, update

from cnnctl.views.requests import JobSort
from service.db.tables import jobs
from service.domain.job_filter import ALL_JOBS, JobFilter
from service.domain.jobs import Job, JobId, Waiting
from service.domain.labels import NO_LABELS, Labels
from service.domain.scheduling_options import DEFAULT_SCHEDULING, SchedulingOptions
from service.domain.states import FINISHED, JOB_TRANSITIONS, JobState, Priority
from service.errors import JobNotFound
from service.store.jobs.filtering import list_conditions
from service.store.jobs.labels import add_tags
from service.store.jobs.sorting import come_after, list_orders
from service.store.rows import columns_of
from service.store.transaction import Transaction

if TYPE_CHECKING:  # pydantic takes 0.1 s to import, and most commands only read jobs
    from service.domain.spec import Spec

UNFINISHED = (JobState.QUEUED, JobState.RUNNING)  # what a scheduler plans
AT_ONCE = 1000  # jobs in one statement
WAITS_FOR_SCHEDULER = "waits for the scheduler"  # the reason of a job that was just submitted
LARGEST_ID = 2**31 - 1  # of an INTEGER column
_TERMS = [f.name for f in fields(SchedulingOptions)]
_COLUMNS = [*columns_of(jobs, Job, leave_out={"scheduling"}), *columns_of(jobs, SchedulingOptions)]
_INSERT = insert(jobs).returning(jobs.c.id, sort_by_parameter_order=True)
_COUNT_WAITING = select(func.count()).where(
    jobs.c.owner == bindparam("person"), jobs.c.state.in_([JobState.QUEUED, JobState.PAUSED])
)
_SET_WAIT = (
    update(jobs)
    .where(jobs.c.id == bindparam("number"), jobs.c.state == JobState.QUEUED)
    .values(reason=bindparam("why"), estimated_start_at=bindparam("start"))
)
# All rows in one statement: one by one, ten thousand take PostgreSQL twice as long.
_SET_WAITS = text(
    "UPDATE jobs SET reason = new.why, estimated_start_at = new.start "
    "FROM unnest(CAST(:numbers AS integer[]), CAST(:whys AS text[]), CAST(:starts AS timestamptz[])) "
    "AS new (number, why, start) WHERE jobs.id = new.number AND jobs.state = :queued"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to store; `like` is the job whose spec its own was made of."""

    spec: "Spec"
    owner: str
    scheduling: SchedulingOptions = DEFAULT_SCHEDULING
    memory_mib: int | None = None
    ample_memory_mib: int | None = None
    labels: Labels = NO_LABELS
    like: JobId | None = None


def _to_job(row: RowMapping) -> Job:
    scheduling = SchedulingOptions(**{name: row[name] for name in _TERMS})
    return Job(**{name: value for name, value in row.items() if name not in _TERMS}, scheduling=scheduling)


def create_job(
    tx: Transaction,
    spec: "Spec",
    *,
    owner: str,
    reason: str,
    scheduling: SchedulingOptions = DEFAULT_SCHEDULING,
    memory_mib: int | None = None,
    ample_memory_mib: int | None = None,
    labels: Labels = NO_LABELS,
    like: JobId | None = None,
) -> JobId:
    """Store a queued job and return its number; `like` is the job whose spec its own was made of."""
    new = NewJob(
        spec=spec,
        owner=owner,
        scheduling=scheduling,
        memory_mib=memory_mib,
        ample_memory_mib=ample_memory_mib,
        labels=labels,
        like=like,
    )
    (job_id,) = create_jobs(tx, [new], reason=reason)
    return job_id


def create_jobs(tx: Transaction, new: Sequence[NewJob], *, reason: str) -> Sequence[JobId]:
    """Store queued jobs and return their numbers, in this order."""
    if not new:
        return []
    rows = [_to_row(tx, one, reason=reason) for one in new]
    job_ids = [JobId(number) for number in tx.connection.execute(_INSERT, rows).scalars()]
    add_tags(tx, [(job_id, tag) for job_id, one in zip(job_ids, new, strict=True) for tag in one.labels.tags])
    return job_ids


def _to_row(tx: Transaction, new: NewJob, *, reason: str) -> Mapping[str, object]:
    minutes = new.spec.resources.time_limit_minutes
    return {
        **asdict(new.scheduling),
        "time_limit_seconds": None if minutes is None else 60 * minutes,
        "preemptions": 0,
        "owner": new.owner,
        "name": new.labels.name,
        "note": new.labels.note,
        "like_job_id": new.like,
        "state": JobState.QUEUED,
        "spec": new.spec.to_json(),
        "architecture": new.spec.model.architecture,
        "dataset": new.spec.data.dataset,
        "gpus": new.spec.resources.gpus,
        "memory_mib": new.memory_mib,
        "ample_memory_mib": new.ample_memory_mib,
        "reason": reason,
        "lost_attempts": 0,
        "submitted_at": tx.now,
    }


def find_job(tx: Transaction, job_id: JobId) -> Job | None:
    """The job with this number, or None."""
    if not 0 < job_id <= LARGEST_ID:
        return None
    row = tx.connection.execute(select(*_COLUMNS).where(jobs.c.id == job_id)).mappings().first()
    return _to_job(row) if row else None


def get_job(tx: Transaction, job_id: JobId) -> Job:
    """The job with this number.

    Raises:
        JobNotFound: it does not exist; the message names the newest job.
    """
    job = find_job(tx, job_id)
    if job is None:
        newest = find_newest_number(tx)
        there_is = f"The newest is {newest}" if newest else "None was submitted yet"
        raise JobNotFound(f"There is no job {job_id}. {there_is}. See: cnnctl status")
    return job


def get_jobs(tx: Transaction, job_ids: Collection[JobId]) -> Sequence[Job]:
    """The jobs with these numbers, in this order.

    Raises:
        JobNotFound: one of them does not exist.
    """
    known = [number for number in job_ids if 0 < number <= LARGEST_ID]
    rows = tx.connection.execute(select(*_COLUMNS).where(jobs.c.id.in_(known))).mappings()
    found = {row["id"]: _to_job(row) for row in rows}
    return [found[number] if number in found else get_job(tx, number) for number in job_ids]


def lock_job(tx: Transaction, job_id: JobId) -> Job:
    """The job with this number, locked until the end of this transaction."""
    statement = select(*_COLUMNS).where(jobs.c.id == job_id).with_for_update()  # SQLite has only one writer
    return _to_job(tx.connection.execute(statement).mappings().one())


def list_jobs(
    tx: Transaction,
    *,
    filter: JobFilter = ALL_JOBS,
    limit: int | None = None,
    before: JobId | None = None,
    sort: JobSort = "newest",
) -> Sequence[Job]:
    """Jobs that pass the filter, in an order; a page goes on after the last job of the page `before` it."""
    statement = select(*_COLUMNS).where(*list_conditions(filter)).order_by(*list_orders(sort)).limit(limit)
    if before is not None:
        statement = statement.where(come_after(tx, before, sort))
    return [_to_job(row) for row in tx.connection.execute(statement).mappings()]


def count_jobs(tx: Transaction, filter: JobFilter = ALL_JOBS) -> Mapping[JobState, int]:
    """Count the jobs that pass the filter, by state; states without a job are left out."""
    statement = select(jobs.c.state, func.count().label("jobs")).where(*list_conditions(filter))
    return {row.state: row.jobs for row in tx.connection.execute(statement.group_by(jobs.c.state))}


def list_jobs_in(tx: Transaction, state: JobState) -> Sequence[Job]:
    """The jobs in a state, in the order of submission."""
    statement = select(*_COLUMNS).where(jobs.c.state == state).order_by(jobs.c.id)
    return [_to_job(row) for row in tx.connection.execute(statement).mappings()]


def list_unfinished(tx: Transaction, job_ids: Collection[JobId]) -> Sequence[Job]:
    """Those of these jobs that are queued or running, in any order."""
    asked, found = sorted(job_ids), []
    for first in range(0, len(asked), AT_ONCE):
        some = jobs.c.id.in_(asked[first : first + AT_ONCE]) & jobs.c.state.in_(UNFINISHED)
        found += [_to_job(row) for row in tx.connection.execute(select(*_COLUMNS).where(some)).mappings()]
    return found


def list_numbers_after(tx: Transaction, job_id: JobId) -> Sequence[JobId]:
    """The numbers of the jobs that were submitted after this one."""
    statement = select(jobs.c.id).where(jobs.c.id > job_id).order_by(jobs.c.id)
    return [JobId(number) for number in tx.connection.execute(statement).scalars()]


def find_newest_number(tx: Transaction) -> JobId:
    """The number of the newest job; 0 before the first."""
    return JobId(tx.connection.execute(select(func.max(jobs.c.id))).scalar() or 0)


def list_unfinished_on(tx: Transaction, dataset: str) -> Sequence[JobId]:
    """The numbers of the unfinished jobs that train on a dataset, as their specs name it."""
    mine = (jobs.c.dataset == dataset) & jobs.c.state.not_in(FINISHED)
    return [
        JobId(number)
        for number in tx.connection.execute(select(jobs.c.id).where(mine).order_by(jobs.c.id)).scalars()
    ]


def list_ended_jobs(tx: Transaction, *, since: datetime) -> Sequence[Job]:
    """The jobs that have ended since then, in the order of their ends."""
    statement = select(*_COLUMNS).where(jobs.c.ended_at >= since).order_by(jobs.c.ended_at, jobs.c.id)
    return [_to_job(row) for row in tx.connection.execute(statement).mappings()]


def set_state_if(tx: Transaction, job_id: JobId, origin: JobState, state: JobState, *, reason: str) -> bool:
    """Move a job from one state to another; False if it is no longer in `origin`."""
    assert state in JOB_TRANSITIONS[origin], f"{origin} never becomes {state}"
    ended_at = tx.now if state in FINISHED else None
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == origin)
        .values(state=state, reason=reason, estimated_start_at=None, ended_at=ended_at)
    )
    return tx.connection.execute(statement).rowcount == 1


def set_waits(tx: Transaction, waits: Collection[Waiting]) -> None:
    """Store why queued jobs wait, and until about when."""
    if not waits:
        return
    if tx.connection.dialect.name == "postgresql":
        numbers, whys = [wait.job_id for wait in waits], [wait.reason for wait in waits]
        starts, queued = [wait.estimated_start_at for wait in waits], JobState.QUEUED.value
        values = {"numbers": numbers, "whys": whys, "starts": starts, "queued": queued}
        tx.connection.execute(_SET_WAITS, values)
        return
    rows = [{"number": wait.job_id, "why": wait.reason, "start": wait.estimated_start_at} for wait in waits]
    tx.connection.execute(_SET_WAIT, rows)


def set_lost_attempts(tx: Transaction, job_id: JobId, count: int) -> None:
    """Set the number of attempts that were lost since a person last asked for the job."""
    tx.connection.execute(update(jobs).where(jobs.c.id == job_id).values(lost_attempts=count))


def count_waiting_jobs(tx: Transaction, owner: str) -> int:
    """Count a person's queued and paused jobs."""
    count: int = tx.connection.execute(_COUNT_WAITING, {"person": owner}).scalar_one()
    return count


def list_states(tx: Transaction, job_ids: Collection[JobId]) -> Mapping[JobId, JobState]:
    """The states of these jobs; jobs that do not exist are left out."""
    statement = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(job_ids))
    return {JobId(number): state for number, state in tx.connection.execute(statement)}


def set_priority_if_unfinished(tx: Transaction, job_id: JobId, priority: Priority) -> bool:
    """Change a job's priority; False if it has ended."""
    unfinished = (jobs.c.id == job_id) & jobs.c.state.not_in(FINISHED)
    return tx.connection.execute(update(jobs).where(unfinished).values(priority=priority)).rowcount == 1


def count_preemption(tx: Transaction, job_id: JobId) -> None:
    """Count one more preemption of a job."""
    tx.connection.execute(update(jobs).where(jobs.c.id == job_id).values(preemptions=jobs.c.preemptions + 1))
