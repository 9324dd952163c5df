"""Queues a job: all checks first, then one row. A submission that is refused stores nothing."""

from collections.abc import Collection, Mapping

from cnnctl.views.jobs import SubmissionView
from service.commands.jobs.admission import check_admission
from service.commands.jobs.dataset_check import check_dataset, explain_worker_path
from service.commands.jobs.dataset_size import measure_dataset
from service.commands.jobs.dataset_version import keep_dataset
from service.commands.jobs.job_memory import Needs, check_memory, predict_needs
from service.commands.jobs.request import complete_request
from service.commands.people.permissions import check_scope
from service.domain.jobs import JobId
from service.domain.labels import NO_LABELS, Labels, clean_labels
from service.domain.people import Actor
from service.domain.scheduling_options import NOTHING_GIVEN, GivenScheduling, SchedulingOptions
from service.domain.spec import Spec
from service.domain.spec_notices import list_notices
from service.domain.states import Action, JobState
from service.settings import Settings
from service.store.jobs import dependencies, jobs
from service.store.people import audit
from service.store.transaction import Store, Transaction


def submit(
    store: Store,
    settings: Settings,
    architecture: str | None,
    assignments: Mapping[str, object],
    *,
    owner: Actor,
    scheduling: SchedulingOptions | GivenScheduling = NOTHING_GIVEN,
    after: Collection[JobId] = (),
    labels: Labels = NO_LABELS,
    like: JobId | None = None,
    hold: bool = False,
) -> SubmissionView:
    """Resolve, check and queue a job; on `hold` it is paused until somebody resumes it.

    What is not given of spec and scheduling is as in the job `like`, or has its default. Its history says
    what was found in its dataset, and what differs from an older version that was asked for.

    Raises:
        SpecError: the spec is not valid, its dataset is damaged, it could never run (see
            `check_submission`), or its labels are beyond their bounds; nothing was stored.
        JobNotFound: there is no job `like`.
        NotAllowed: its owner has no right to its priority.
        DatasetConflict: somebody has removed its dataset just now.
    """
    check_scope(owner, act="submit jobs")
    labels = clean_labels(labels)
    request = complete_request(store, architecture, assignments, scheduling=scheduling, like=like)
    spec = request.spec
    notices: list[str] = []
    found = check_dataset(spec, settings, given=assignments, report=notices.append)
    found = "; ".join(filter(None, [request.notice, found]))
    needs = predict_needs(spec, measure_dataset(spec.data, datasets_dir=settings.datasets_dir))
    with store.transaction() as tx:
        check_submission(tx, spec, needs, owner=owner, scheduling=request.scheduling, after=after)
        keep_dataset(tx, spec.data.dataset, job="This job")
        job_id = jobs.create_job(
            tx,
            spec,
            owner=owner.name,
            reason=jobs.WAITS_FOR_SCHEDULER,
            scheduling=request.scheduling,
            memory_mib=needs.least_mib,
            ample_memory_mib=needs.ample_mib,
            labels=labels,
            like=like,
        )
        dependencies.add_dependencies(tx, job_id, after)
        audit.add_entry(tx, job_id, Action.SUBMITTED, actor=owner, detail=found)
        if hold:
            why = f"on hold since its submission; cnnctl resume {job_id}"
            jobs.set_state_if(tx, job_id, JobState.QUEUED, JobState.PAUSED, reason=why)
            audit.add_entry(tx, job_id, Action.PAUSED, actor=owner, detail=why)
    notices += list_notices(spec, request.chosen)
    if where := explain_worker_path(spec.data.dataset, settings):
        notices.append(where)
    return SubmissionView(
        job=job_id,
        state=(JobState.PAUSED if hold else JobState.QUEUED).value,
        architecture=spec.model.architecture,
        dataset=spec.data.dataset,
        gpus=spec.resources.gpus,
        found=found,
        notices=notices,
    )


def check_submission(
    tx: Transaction,
    spec: Spec,
    needs: Needs,
    *,
    owner: Actor,
    scheduling: SchedulingOptions,
    after: Collection[JobId],
) -> None:
    """Check all that can be known of a job before it is queued.

    Raises:
        SpecError, NotAllowed: see `check_admission` and `check_memory`.
    """
    check_admission(tx, gpus=spec.resources.gpus, owner=owner, scheduling=scheduling, after=after)
    check_memory(tx, spec, needs, owner=owner.name, scheduling=scheduling)
