"""Takes studies forward: records what runs came to, queues what follows, and ends what is complete."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from service.domain.people import SCHEDULER
from service.domain.states import Action, JobState, Stage, StudyState, Subject
from service.domain.studies.definition import Definition, Fields, load_definition
from service.domain.studies.measures import dump_numbers, is_higher_better, load_numbers, measure
from service.domain.studies.plan import list_grid, plan_measured
from service.domain.studies.study import Study, StudyId, StudyRun
from service.errors import DatabaseUnavailable
from service.store.jobs import jobs
from service.store.people import audit
from service.store.studies import studies
from service.store.studies.numbers import find_reason, read_numbers
from service.store.studies.queueing import Memory, queue_runs
from service.store.transaction import Store, Transaction

MOST_EQUAL_FAILURES = 3

log = structlog.get_logger()


def advance_studies(store: Store) -> None:
    """Take every study forward of which jobs have ended; an error holds that study, and no other."""
    with store.reading() as tx:
        due = studies.list_due(tx)
    for study_id in due:
        try:
            with store.transaction() as tx:
                _advance(tx, study_id)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # no study may stop the scheduler for everybody
            log.exception("study", study=study_id, action="held")
            with store.transaction() as tx:
                hold(tx, studies.get_study(tx, study_id, lock=True), f"it cannot go on: {error}"[:1000])


def _advance(tx: Transaction, study_id: StudyId) -> None:
    study = studies.get_study(tx, study_id, lock=True)
    if study.state is not StudyState.RUNNING:
        return
    for run in studies.list_ended_runs(tx, study_id):
        assert run.job_id is not None
        job = jobs.get_job(tx, run.job_id)
        numbers = read_numbers(tx, job)
        studies.record(
            tx,
            run.id,
            numbers=None if numbers is None else dump_numbers(numbers),
            failure="" if numbers else find_reason(job),
        )
    runs = studies.list_runs(tx, study_id)
    if failure := _find_repeated_failure(tx, runs):
        hold(tx, study, f"{MOST_EQUAL_FAILURES} runs in a row have failed alike: {failure}")
    elif all(run.has_ended for run in runs):
        _end_stage(tx, study, runs)


def hold(tx: Transaction, study: Study, reason: str) -> None:
    """Let nothing more of a study start until somebody runs it again."""
    why = f"study {study.id} is held; cnnctl study rerun {study.id}"
    for job_id in studies.list_open_jobs(tx, study.id):
        if jobs.set_state_if(tx, job_id, JobState.QUEUED, JobState.PAUSED, reason=why):
            audit.add_entry(tx, job_id, Action.PAUSED, actor=SCHEDULER, detail=why)
    studies.set_state(tx, study.id, StudyState.HELD, reason=reason)
    audit.add_entry_about(tx, Subject.STUDY, str(study.id), Action.PAUSED, actor=SCHEDULER, detail=reason)


def _find_repeated_failure(tx: Transaction, runs: Sequence[StudyRun]) -> str:
    """The failure of the newest runs that have ended, if they all have failed alike; else empty."""
    ended = [run for run in runs if run.has_ended and run.job_id is not None and not run.shared]
    ends = {job.id: job.ended_at for job in jobs.get_jobs(tx, [run.job_id for run in ended if run.job_id])}
    ended.sort(key=lambda run: (ends[run.job_id] is not None, ends[run.job_id], run.id))  # type: ignore[index]
    newest = {run.failure for run in ended[-MOST_EQUAL_FAILURES:]}
    return newest.pop() if len(ended) >= MOST_EQUAL_FAILURES and len(newest) == 1 else ""


def _end_stage(tx: Transaction, study: Study, runs: Sequence[StudyRun]) -> None:
    definition = load_definition(study.definition)
    if definition.tune is None or any(run.stage is Stage.MEASURE for run in runs):
        studies.set_state(tx, study.id, StudyState.FINISHED)
        audit.add_entry_about(tx, Subject.STUDY, str(study.id), Action.SUCCEEDED, actor=SCHEDULER)
        return
    chosen = choose_tuned(definition, study.scale, runs)
    if missing := [arm for arm in definition.arms if arm not in chosen]:
        hold(tx, study, f"no run of the tuning of {', '.join(missing)} has {definition.tune.metric}")
        return
    planned = plan_measured(definition, study.scale, seeds=range(study.seeds), tuned=chosen)
    queue_runs(tx, study, planned, find_memory(tx, runs, chosen), actor=SCHEDULER)


def choose_tuned(definition: Definition, scale: str, runs: Sequence[StudyRun]) -> Mapping[str, Fields]:
    """For each arm the values whose runs were best on the mean; an arm without any result is left out.

    Values of which a run has no result or never arrived count as the worst.
    """
    if definition.tune is None:
        return {}
    metric, sign = definition.tune.metric, 1 if is_higher_better(definition.tune.metric) else -1
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    grid = [dict(tuned) for tuned in list_grid(definition, scale)]
    for run in runs:
        if run.stage is Stage.TUNE and dict(run.tuned) in grid:
            value = measure(metric, load_numbers(run.numbers)) if run.numbers is not None else None
            arrived = value is not None and not value.is_censored
            score = sign * value.value if value is not None and arrived else -math.inf
            found[run.arm, grid.index(dict(run.tuned))].append(score)
    chosen = {}
    for arm in definition.arms:
        scores = {number: math.fsum(found[arm, number]) for number in range(len(grid)) if found[arm, number]}
        best = max(scores, key=lambda number: scores[number], default=None)
        if best is not None and scores[best] > -math.inf:
            chosen[arm] = grid[best]
    return chosen


def find_memory(tx: Transaction, runs: Sequence[StudyRun], tuned: Mapping[str, Fields]) -> Memory:
    """What the jobs of each arm need on a GPU, as was predicted for the runs before."""
    memory: dict[str, tuple[int | None, int | None]] = {}
    of_arm = {run.arm: run for run in runs if dict(run.tuned) == tuned.get(run.arm, {}) and run.job_id}
    for arm, run in of_arm.items():
        job = jobs.get_job(tx, run.job_id)  # type: ignore[arg-type]
        memory[arm] = (job.memory_mib, job.ample_memory_mib)
    return defaultdict(lambda: (None, None), memory)
