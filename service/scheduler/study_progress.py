"""Takes studies forward: records what runs came to, queues what follows, and ends what is complete."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from service.domain.people import SCHEDULER
from service.domain.spec import Spec, read_spec
from service.domain.states import Action, JobState, Stage, StudyState, Subject
from service.domain.studies.definition import Definition, Fields, load_definition
from service.domain.studies.measures import dump_numbers, is_higher_better, load_numbers, measure
from service.domain.studies.plan import list_grid, plan_measured, resolve_arm
from service.domain.studies.study import Study, StudyId, StudyRun
from service.errors import DatabaseUnavailable, NewerSpec, SpecError
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
        with store.transaction() as tx:
            record_ended(tx, study_id)
        try:
            with store.transaction() as tx:
                _go_on(tx, study_id)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # no study may stop the scheduler for everybody
            log.exception("study", study=study_id, action="held")
            with store.transaction() as tx:
                hold(tx, studies.get_study(tx, study_id, lock=True), f"it cannot go on: {error}"[:1000])


def record_ended(tx: Transaction, study_id: StudyId) -> None:
    """Keep what runs came to whose jobs have ended, whatever the study's state."""
    studies.get_study(tx, study_id, lock=True)
    for run in studies.list_ended_runs(tx, study_id):
        assert run.job_id is not None
        job = jobs.get_job(tx, run.job_id)
        try:
            numbers = read_numbers(tx, job)
            failure = "" if numbers else find_reason(job)
        except (SpecError, NewerSpec, ValueError) as error:
            numbers, failure = None, f"its numbers cannot be read: {error}"[:500]
        studies.record(
            tx, run.id, numbers=None if numbers is None else dump_numbers(numbers), failure=failure
        )


def _go_on(tx: Transaction, study_id: StudyId) -> None:
    study = studies.get_study(tx, study_id, lock=True)
    if study.state is not StudyState.RUNNING:
        return
    newest = studies.list_newest_failures(tx, study_id, limit=MOST_EQUAL_FAILURES)
    if len(newest) == MOST_EQUAL_FAILURES and len(set(newest)) == 1 and newest[0]:
        hold(tx, study, f"{MOST_EQUAL_FAILURES} runs in a row have failed alike: {newest[0]}")
    elif not studies.has_open_runs(tx, study_id):
        _end_stage(tx, study, studies.list_runs(tx, study_id))


def hold(tx: Transaction, study: Study, reason: str) -> None:
    """Let nothing more of a running study start until somebody runs it again."""
    if study.state is not StudyState.RUNNING:
        return
    why = f"study {study.id} is held; cnnctl study rerun {study.id}"
    for job_id in studies.list_open_jobs(tx, study.id):
        if jobs.set_state_if(tx, job_id, JobState.QUEUED, JobState.PAUSED, reason=why):
            audit.add_entry(tx, job_id, Action.PAUSED, actor=SCHEDULER, detail=why)
    studies.set_state(tx, study.id, StudyState.HELD, reason=reason)
    audit.add_entry_about(tx, Subject.STUDY, str(study.id), Action.PAUSED, actor=SCHEDULER, detail=reason)


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
    specs, memory = find_specs(tx, study, definition, runs, chosen)
    planned = plan_measured(specs, seeds=range(study.seeds), tuned=chosen)
    queue_runs(tx, study, planned, memory, actor=SCHEDULER)


def choose_tuned(definition: Definition, scale: str, runs: Sequence[StudyRun]) -> Mapping[str, Fields]:
    """For each arm the values whose runs were best on the mean; an arm without any result is left out.

    Values of which a run has no result, diverged or never arrived count as the worst.
    """
    if definition.tune is None:
        return {}
    metric, sign = definition.tune.metric, 1 if is_higher_better(definition.tune.metric) else -1
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    grid = [dict(tuned) for tuned in list_grid(definition, scale)]
    for run in runs:
        if run.stage is Stage.TUNE and dict(run.tuned) in grid:
            numbers = load_numbers(run.numbers) if run.numbers is not None else None
            value = measure(metric, numbers) if numbers is not None and not numbers.diverged else None
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


def find_specs(
    tx: Transaction,
    study: Study,
    definition: Definition,
    runs: Sequence[StudyRun],
    tuned: Mapping[str, Fields],
) -> tuple[Mapping[str, Spec], Memory]:
    """The spec of each arm, as its runs so far have had it, and what its jobs need on a GPU.

    An arm whose runs were all made elsewhere is resolved anew.

    Raises:
        SpecError: an arm cannot be resolved here.
    """
    specs: dict[str, Spec] = {}
    memory: dict[str, tuple[int | None, int | None]] = {}
    for arm in definition.arms:
        chosen = tuned.get(arm, {})
        mine = [
            run.job_id for run in runs if run.arm == arm and dict(run.tuned) == dict(chosen) and run.job_id
        ]
        if mine:
            job = jobs.get_job(tx, mine[0])
            specs[arm], memory[arm] = read_spec(job.spec), (job.memory_mib, job.ample_memory_mib)
        else:
            specs[arm], memory[arm] = resolve_arm(definition, study.scale, arm, chosen), (None, None)
    return specs, memory
