"""What people do to a study that was started: cancel, extend, run again."""

from collections.abc import Sequence
from contextlib import suppress

from cnnctl.views.studies import StudyView
from service.commands.jobs.control import cancel_in, resume_in, retry_in
from service.commands.jobs.dataset_version import keep_dataset
from service.commands.people.permissions import check_scope, is_administrator
from service.commands.studies.reading import describe_study
from service.commands.studies.starting import check_quota
from service.domain.bounds import check_option
from service.domain.jobs import Job
from service.domain.people import Actor
from service.domain.states import RETRYABLE, Action, JobState, Stage, StopRequest, StudyState, Subject
from service.domain.studies.definition import load_definition
from service.domain.studies.plan import check_number, count_runs, plan_measured
from service.domain.studies.study import Study, StudyId, StudyRun
from service.errors import JobConflict, NotAllowed, SpecError, StudyConflict
from service.scheduler.study_progress import find_specs, record_ended
from service.store.jobs import attempts, jobs
from service.store.people import audit
from service.store.studies import studies
from service.store.studies.queueing import queue_runs
from service.store.transaction import Store, Transaction


def cancel_study(store: Store, study_id: StudyId, *, actor: Actor) -> StudyView:
    """Cancel a study and those of its jobs that have not ended; what has ended stays.

    Raises:
        StudyNotFound: it does not exist.
        StudyConflict: it has ended already.
        NotAllowed: it is somebody else's.
    """
    with store.transaction() as tx:
        study = _get_study(tx, study_id, actor)
        record_ended(tx, study_id)
        if study.ended_at is not None:
            raise StudyConflict(f"Study {study_id} cannot be cancelled: it is {study.state.value}")
        for job_id in studies.list_open_jobs(tx, study_id):
            with suppress(JobConflict):  # it ended just now, or stops already
                cancel_in(tx, jobs.get_job(tx, job_id), actor=actor)
        studies.set_state(tx, study_id, StudyState.CANCELLED)
        _note(tx, study_id, Action.CANCELLED, actor)
        return describe_study(tx, studies.get_study(tx, study_id))


def extend_study(store: Store, study_id: StudyId, *, seeds: int, actor: Actor) -> StudyView:
    """Add seeds to a study whose runs are queued; its report says so.

    Raises:
        StudyNotFound: it does not exist.
        StudyConflict: it is still being tuned, or was cancelled.
        SpecError: it has as many seeds already, or its owner's quota is too small.
        NotAllowed: it is somebody else's.
    """
    check_option("--seeds", seeds)
    with store.transaction() as tx:
        study = _get_study(tx, study_id, actor)
        runs = studies.list_runs(tx, study_id)
        tuned = {run.arm: dict(run.tuned) for run in runs if run.stage is Stage.MEASURE}
        if study.state in (StudyState.CANCELLED, StudyState.HELD) or not tuned:
            why = "is still being tuned" if study.state is StudyState.RUNNING else f"is {study.state.value}"
            raise StudyConflict(f"Study {study_id} cannot be extended: it {why}")
        if seeds <= study.seeds:
            raise SpecError(
                f"Study {study_id} has {study.seeds} seeds. Ask for more. Received: --seeds {seeds}"
            )
        definition = load_definition(study.definition)
        check_number(count_runs(definition, study.scale, seeds=seeds))
        specs, memory = find_specs(tx, study, definition, runs, tuned)
        planned = plan_measured(specs, seeds=range(study.seeds, seeds), tuned=tuned)
        check_quota(tx, study.owner, runs=len(planned))
        for dataset in {run.spec.data.dataset for run in planned}:
            keep_dataset(tx, dataset, job=f"Study {study_id}")
        queue_runs(tx, study, planned, memory, actor=actor)
        studies.set_seeds(tx, study_id, seeds)
        if study.state is StudyState.FINISHED:
            studies.set_state(tx, study_id, StudyState.RUNNING)
        was, now = {"seeds": study.seeds}, {"seeds": seeds}
        audit.add_entry_about(
            tx, Subject.STUDY, str(study_id), Action.CHANGED, actor=actor, before=was, after=now
        )
        return describe_study(tx, studies.get_study(tx, study_id))


def rerun_study(store: Store, study_id: StudyId, *, actor: Actor) -> StudyView:
    """Let a held, cancelled or finished study go on: runs without a result are tried again.

    Raises:
        StudyNotFound: it does not exist.
        StudyConflict: nothing of it is left to run.
        SpecError: its owner has as many jobs waiting as the quota allows.
        NotAllowed: it is somebody else's.
    """
    with store.transaction() as tx:
        study = _get_study(tx, study_id, actor)
        record_ended(tx, study_id)
        runs = studies.list_runs(tx, study_id)
        # What was chosen stays: once arms are measured, no run of their tuning can change it.
        stage = Stage.MEASURE if any(run.stage is Stage.MEASURE for run in runs) else Stage.TUNE
        again = [run for run in runs if run.stage is stage and run.numbers is None and run.job_id]
        _check_none_is_stopping(tx, study, again)
        if not again and study.state in (StudyState.RUNNING, StudyState.FINISHED):
            raise StudyConflict(
                f"Nothing of study {study_id} is left to run again: it is {study.state.value}. "
                f"To start it anew: cnnctl study run {study.name} --fresh"
            )
        for run in again:
            assert run.job_id is not None
            _run_again(tx, jobs.get_job(tx, run.job_id), actor=actor)
            studies.record(tx, run.id)
        studies.set_state(tx, study_id, StudyState.RUNNING)
        _note(tx, study_id, Action.RETRIED, actor)
        return describe_study(tx, studies.get_study(tx, study_id))


def _check_none_is_stopping(tx: Transaction, study: Study, runs: Sequence[StudyRun]) -> None:
    found = [attempts.find_live_attempt(tx, run.job_id) for run in runs if run.job_id and not run.has_ended]
    stopping = [one for one in found if one is not None and one.stop_request is StopRequest.CANCEL]
    if stopping:
        raise StudyConflict(
            f"{len(stopping)} jobs of study {study.id} are still stopping. "
            f"In a moment: cnnctl study rerun {study.id}"
        )


def _run_again(tx: Transaction, job: Job, *, actor: Actor) -> None:
    """Let a job that has no result go on, unless it waits or runs."""
    if job.state in RETRYABLE:
        retry_in(tx, job, actor=actor)
    elif job.state is JobState.PAUSED:
        resume_in(tx, job, actor=actor)


def _get_study(tx: Transaction, study_id: StudyId, actor: Actor) -> Study:
    check_scope(actor, act="change studies")
    study = studies.get_study(tx, study_id, lock=True)
    if actor.name != study.owner and not is_administrator(tx, actor):
        raise NotAllowed(
            f"Study {study_id} is {study.owner}'s: only {study.owner} or an administrator may change it. "
            f"You are {actor.name}. Administrators: cnnctl users"
        )
    return study


def _note(tx: Transaction, study_id: StudyId, action: Action, actor: Actor) -> None:
    audit.add_entry_about(tx, Subject.STUDY, str(study_id), action, actor=actor)
