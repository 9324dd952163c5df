"""Studies and their runs: create, read, and record what came of them."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, case, func, insert, or_, select, update

from service.db.tables import jobs, studies, study_runs
from service.domain.jobs import JobId
from service.domain.states import FINISHED, JobState, Priority, StudyState
from service.domain.stored import load_object
from service.domain.studies.study import RunId, Study, StudyId, StudyRun
from service.errors import StudyNotFound
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

LARGEST_ID = 2**31 - 1  # of an INTEGER column
_COLUMNS = columns_of(studies, Study)
_RUN_COLUMNS = columns_of(study_runs, StudyRun)
_IS_OPEN = and_(study_runs.c.numbers.is_(None), study_runs.c.failure == "")


def _to_run(row: RowMapping) -> StudyRun:
    numbers = None if row["numbers"] is None else load_object(row["numbers"])
    return to_value(StudyRun, row, tuned=load_object(row["tuned"]), numbers=numbers)


def create_study(
    tx: Transaction,
    *,
    name: str,
    owner: str,
    scale: str,
    definition: str,
    digest: str,
    seeds: int,
    priority: Priority,
) -> StudyId:
    """Store a running study without runs, and return its number."""
    values = {
        "name": name,
        "owner": owner,
        "scale": scale,
        "definition": definition,
        "digest": digest,
        "planned_seeds": seeds,
        "seeds": seeds,
        "priority": priority,
        "state": StudyState.RUNNING,
        "reason": "",
        "submitted_at": tx.now,
    }
    statement = insert(studies).values(values).returning(studies.c.id)
    return StudyId(tx.connection.execute(statement).scalar_one())


def get_study(tx: Transaction, study_id: StudyId, *, lock: bool = False) -> Study:
    """The study with this number; on `lock`, nobody else changes it until the end of this transaction.

    Raises:
        StudyNotFound: it does not exist.
    """
    statement = select(*_COLUMNS).where(studies.c.id == study_id)
    if lock:
        statement = statement.with_for_update()  # SQLite has only one writer
    known = 0 < study_id <= LARGEST_ID
    row = tx.connection.execute(statement).mappings().first() if known else None
    if row is None:
        newest = tx.connection.execute(select(func.max(studies.c.id))).scalar()
        there_is = f"The newest is {newest}" if newest else "None was started yet"
        raise StudyNotFound(f"There is no study {study_id}. {there_is}. See: cnnctl study status")
    return to_value(Study, row)


def list_studies(
    tx: Transaction, *, states: Collection[StudyState] = (), limit: int | None = None
) -> Sequence[Study]:
    """Studies, the newest first: those in one of the states, where any are given."""
    statement = select(*_COLUMNS).order_by(studies.c.id.desc()).limit(limit)
    if states:
        statement = statement.where(studies.c.state.in_(states))
    return [to_value(Study, row) for row in tx.connection.execute(statement).mappings()]


def set_state(tx: Transaction, study_id: StudyId, state: StudyState, *, reason: str = "") -> None:
    """Change the state of a study."""
    has_ended = state in (StudyState.FINISHED, StudyState.CANCELLED)
    values = {"state": state, "reason": reason, "ended_at": tx.now if has_ended else None}
    tx.connection.execute(update(studies).where(studies.c.id == study_id).values(values))


def set_seeds(tx: Transaction, study_id: StudyId, seeds: int) -> None:
    """Change the number of seeds of a study; those planned at first stay known."""
    tx.connection.execute(update(studies).where(studies.c.id == study_id).values(seeds=seeds))


def add_runs(tx: Transaction, study_id: StudyId, runs: Sequence[Mapping[str, Any]]) -> None:
    """Add runs: stage, arm, seed, tuned, training_digest, job_id, shared and numbers of each."""
    rows = [
        {
            **run,
            "study_id": study_id,
            "tuned": json.dumps(run["tuned"], sort_keys=True),
            "numbers": None if run["numbers"] is None else json.dumps(run["numbers"]),
            "failure": "",
        }
        for run in runs
    ]
    if rows:
        tx.connection.execute(insert(study_runs), rows)


def list_runs(tx: Transaction, study_id: StudyId) -> Sequence[StudyRun]:
    """A study's runs, in the order in which they were added."""
    statement = select(*_RUN_COLUMNS).where(study_runs.c.study_id == study_id).order_by(study_runs.c.id)
    return [_to_run(row) for row in tx.connection.execute(statement).mappings()]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """How far a study's runs are; `paused` are jobs of its own that somebody has to resume."""

    runs: int = 0
    done: int = 0
    failed: int = 0
    shared: int = 0
    paused: int = 0
    own: int = 0
    own_ended: int = 0
    last_end: datetime | None = None


def count_runs(tx: Transaction, study_ids: Collection[StudyId]) -> Mapping[StudyId, RunCounts]:
    """Count the runs of each study without reading their numbers."""
    joined = study_runs.outerjoin(jobs, jobs.c.id == study_runs.c.job_id)
    is_own = and_(~study_runs.c.shared, study_runs.c.job_id.is_not(None))

    def count(condition: Any) -> Any:
        return func.count(case((condition, 1)))

    statement = (
        select(
            study_runs.c.study_id,
            func.count().label("runs"),
            func.count(study_runs.c.numbers).label("done"),
            count(study_runs.c.failure != "").label("failed"),
            count(study_runs.c.shared).label("shared"),
            count(and_(_IS_OPEN, jobs.c.state == JobState.PAUSED)).label("paused"),
            count(is_own).label("own"),
            count(and_(is_own, ~_IS_OPEN)).label("own_ended"),
            func.max(case((is_own, jobs.c.ended_at))).label("last_end"),
        )
        .select_from(joined)
        .where(study_runs.c.study_id.in_(study_ids))
        .group_by(study_runs.c.study_id)
    )
    rows = map(dict, tx.connection.execute(statement).mappings())
    return defaultdict(RunCounts, {StudyId(row.pop("study_id")): RunCounts(**row) for row in rows})


def has_open_runs(tx: Transaction, study_id: StudyId) -> bool:
    """Whether a run of a study has not ended."""
    mine = and_(study_runs.c.study_id == study_id, _IS_OPEN)
    return tx.connection.execute(select(1).where(mine).limit(1)).first() is not None


def list_newest_failures(tx: Transaction, study_id: StudyId, *, limit: int) -> Sequence[str]:
    """Why the newest runs of a study's own that have ended failed, empty where one did not."""
    joined = study_runs.join(jobs, jobs.c.id == study_runs.c.job_id)
    mine = and_(study_runs.c.study_id == study_id, ~study_runs.c.shared, ~_IS_OPEN)
    statement = select(study_runs.c.failure).select_from(joined).where(mine)
    newest = statement.order_by(jobs.c.ended_at.desc(), jobs.c.id.desc()).limit(limit)
    return tx.connection.execute(newest).scalars().all()


def list_ended_runs(tx: Transaction, study_id: StudyId) -> Sequence[StudyRun]:
    """The runs of a study that are open although their jobs have ended, in the order of these ends."""
    joined = study_runs.join(jobs, jobs.c.id == study_runs.c.job_id)
    mine = and_(study_runs.c.study_id == study_id, _IS_OPEN, jobs.c.state.in_(FINISHED))
    statement = select(*_RUN_COLUMNS).select_from(joined).where(mine).order_by(jobs.c.ended_at, jobs.c.id)
    return [_to_run(row) for row in tx.connection.execute(statement).mappings()]


def list_due(tx: Transaction) -> Sequence[StudyId]:
    """The studies that have something to record, and the running ones that have nothing left to wait for."""
    joined = study_runs.outerjoin(jobs, jobs.c.id == study_runs.c.job_id)
    waits = and_(_IS_OPEN, or_(jobs.c.id.is_(None), jobs.c.state.not_in(FINISHED)))
    ended = and_(_IS_OPEN, jobs.c.state.in_(FINISHED))

    def any_run(condition: Any) -> Any:
        return select(1).select_from(joined).where(study_runs.c.study_id == studies.c.id, condition).exists()

    is_through = and_(studies.c.state == StudyState.RUNNING, ~any_run(waits))
    may_be_due = and_(studies.c.state != StudyState.FINISHED, or_(any_run(ended), is_through))
    statement = select(studies.c.id).where(may_be_due).order_by(studies.c.id)
    return [StudyId(number) for number in tx.connection.execute(statement).scalars()]


def record(
    tx: Transaction, run_id: RunId, *, numbers: Mapping[str, Any] | None = None, failure: str = ""
) -> None:
    """Keep what came of a run."""
    text = None if numbers is None else json.dumps(numbers)
    statement = update(study_runs).where(study_runs.c.id == run_id)
    tx.connection.execute(statement.values(numbers=text, failure=failure))


def find_done(
    tx: Transaction, training_digests: Collection[str]
) -> Mapping[str, tuple[JobId, Mapping[str, Any]]]:
    """By training digest the newest job of any study that has trained exactly this, and its numbers."""
    mine = and_(
        study_runs.c.training_digest.in_(training_digests),
        study_runs.c.numbers.is_not(None),
        study_runs.c.job_id.is_not(None),
    )
    statement = select(study_runs.c.training_digest, study_runs.c.job_id, study_runs.c.numbers).where(mine)
    return {
        digest: (JobId(job_id), load_object(numbers))
        for digest, job_id, numbers in tx.connection.execute(statement.order_by(study_runs.c.id))
    }


def list_open_jobs(tx: Transaction, study_id: StudyId) -> Sequence[JobId]:
    """The jobs of a study's runs that have not ended and are its own."""
    mine = and_(study_runs.c.study_id == study_id, _IS_OPEN, study_runs.c.job_id.is_not(None))
    statement = select(study_runs.c.job_id).where(mine, ~study_runs.c.shared).order_by(study_runs.c.id)
    return [JobId(number) for number in tx.connection.execute(statement).scalars()]
