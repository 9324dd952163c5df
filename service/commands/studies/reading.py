"""What people see of studies: how far they are, their evidence, their report."""

from collections.abc import Sequence

from cnnctl.views.studies import StudyEvidence, StudyReport, StudyRunView, StudyView
from service.domain.states import StudyState
from service.domain.stored import load_object
from service.domain.studies.report import make_report
from service.domain.studies.study import Study, StudyId, StudyRun
from service.store.studies import studies
from service.store.studies.studies import RunCounts
from service.store.transaction import Store, Transaction

MOST_LISTED = 1000


def list_study_views(store: Store, *, running: bool = False, limit: int = 50) -> Sequence[StudyView]:
    """Studies, the newest first; on `running` those alone that have not ended."""
    states = (StudyState.RUNNING, StudyState.HELD) if running else ()
    with store.reading() as tx:
        found = studies.list_studies(tx, states=states, limit=min(limit, MOST_LISTED))
        counts = studies.count_runs(tx, [study.id for study in found])
        return [_describe_study(study, counts[study.id]) for study in found]


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
    return _describe_study(study, studies.count_runs(tx, [study.id])[study.id])


def _describe_study(study: Study, counts: RunCounts) -> StudyView:
    reason = study.reason
    if study.state is StudyState.RUNNING and counts.paused:
        reason = f"{counts.paused} jobs are paused; cnnctl study rerun {study.id} lets them go on"
    return StudyView(
        study=study.id,
        name=study.name,
        owner=study.owner,
        scale=study.scale,
        claim=str(load_object(study.definition).get("claim", "")),
        state=study.state.value,
        reason=reason,
        digest=study.digest,
        planned_seeds=study.planned_seeds,
        seeds=study.seeds,
        runs=counts.runs,
        done=counts.done,
        failed=counts.failed,
        shared=counts.shared,
        seconds_left=_estimate_left(study, counts),
        submitted_at=study.submitted_at,
        ended_at=study.ended_at,
    )


def _estimate_left(study: Study, counts: RunCounts) -> float | None:
    """At the pace so far: from the start until the newest end, over the runs that ended."""
    if study.state is not StudyState.RUNNING:
        return None
    left = counts.own - counts.own_ended
    if not left:
        return 0.0
    if not counts.own_ended or counts.last_end is None:
        return None
    return (counts.last_end - study.submitted_at).total_seconds() / counts.own_ended * left


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
