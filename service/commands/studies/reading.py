"""What people see of studies: how far they are, their evidence, their report."""

from collections.abc import Sequence

from cnnctl.views.studies import StudyEvidence, StudyReport, StudyRunView, StudyView
from service.domain.states import StudyState
from service.domain.stored import load_object
from service.domain.studies.report import make_report
from service.domain.studies.study import Study, StudyId, StudyRun
from service.store.jobs import jobs
from service.store.studies import studies
from service.store.transaction import Store, Transaction

MOST_LISTED = 1000


def list_study_views(store: Store, *, running: bool = False, limit: int = 50) -> Sequence[StudyView]:
    """Studies, the newest first; on `running` those alone that have not ended."""
    states = (StudyState.RUNNING, StudyState.HELD) if running else ()
    with store.reading() as tx:
        found = studies.list_studies(tx, states=states, limit=min(limit, MOST_LISTED))
        return [describe_study(tx, study) for study in found]


def get_study_view(store: Store, study_id: StudyId) -> StudyView:
    """How far a study is.

    Raises:
        StudyNotFound: it does not exist.
    """
    with store.reading() as tx:
        return describe_study(tx, studies.get_study(tx, study_id))


def get_evidence(store: Store, study_id: StudyId) -> StudyEvidence:
    """All that a study's report is made of.

    Raises:
        StudyNotFound: it does not exist.
    """
    with store.reading() as tx:
        study = studies.get_study(tx, study_id)
        runs = studies.list_runs(tx, study_id)
    return StudyEvidence(
        name=study.name,
        scale=study.scale,
        definition=load_object(study.definition),
        digest=study.digest,
        planned_seeds=study.planned_seeds,
        seeds=study.seeds,
        runs=[_describe_run(run) for run in runs],
    )


def get_report(store: Store, study_id: StudyId) -> StudyReport:
    """What a study came to so far.

    Raises:
        StudyNotFound: it does not exist.
        SpecError: its definition cannot be read here.
        MissingExtra: SciPy is not installed.
    """
    return make_report(get_evidence(store, study_id))


def describe_study(tx: Transaction, study: Study) -> StudyView:
    """What people see of a study."""
    runs = studies.list_runs(tx, study.id)
    return StudyView(
        study=study.id,
        name=study.name,
        owner=study.owner,
        scale=study.scale,
        claim=str(load_object(study.definition).get("claim", "")),
        state=study.state.value,
        reason=study.reason,
        digest=study.digest,
        planned_seeds=study.planned_seeds,
        seeds=study.seeds,
        runs=len(runs),
        done=sum(run.numbers is not None for run in runs),
        failed=sum(bool(run.failure) for run in runs),
        shared=sum(run.shared for run in runs),
        seconds_left=_estimate_left(tx, study, runs),
        submitted_at=study.submitted_at,
        ended_at=study.ended_at,
    )


def _estimate_left(tx: Transaction, study: Study, runs: Sequence[StudyRun]) -> float | None:
    """At the pace so far: from the start until the newest end, over the runs that ended."""
    if study.state is not StudyState.RUNNING:
        return None
    own = [run for run in runs if not run.shared and run.job_id is not None]
    left = sum(not run.has_ended for run in own)
    ended = [
        job.ended_at for job in jobs.get_jobs(tx, [run.job_id for run in own if run.job_id]) if job.ended_at
    ]
    if not ended or not left:
        return 0.0 if not left else None
    return (max(ended) - study.submitted_at).total_seconds() / len(ended) * left


def _describe_run(run: StudyRun) -> StudyRunView:
    return StudyRunView(
        stage=run.stage.value,
        arm=run.arm,
        seed=run.seed,
        tuned=run.tuned,
        training_digest=run.training_digest,
        job=run.job_id,
        shared=run.shared,
        numbers=run.numbers,
        failure=run.failure,
    )
