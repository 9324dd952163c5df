"""Shows jobs: all of them, one with everything about it, its result, its history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cnnctl.views.jobs import (
    AttemptView,
    AuditEntryView,
    CheckpointView,
    JobResult,
    JobView,
    VerdictView,
)
from cnnctl.views.shape import list_keys
from models.catalog.verdicts import Verdict, judge
from service.commands.jobs.job_list import without_spec
from service.domain.jobs import Attempt, Job, JobId
from service.domain.spec import read_spec
from service.domain.spec_notices import suspect_cause
from service.domain.states import JobState
from service.errors import NewerSpec
from service.store.fleet import leases
from service.store.jobs import attempts, checkpoints, dependencies, jobs, labels, logs, metrics
from service.store.people import audit
from service.store.transaction import Store, Transaction

LOG_LINES = 12  # of a failed job's log


def get_result_view(store: Store, job_id: JobId) -> JobResult:
    """What came of a job.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
        return _result(tx, job, attempts.list_attempts(tx, job_id))


def get_job_view(store: Store, job_id: JobId) -> JobView:
    """Everything about one job: the result, spec, reason, attempts and audit.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
        try:
            return _describe(tx, job)
        except Exception as error:  # its owner must see the error, and the rest of the job
            return _describe(tx, without_spec(job, error))


def _describe(tx: Transaction, job: Job) -> JobView:
    tries = attempts.list_attempts(tx, job.id)
    result = _result(tx, job, tries)
    said = labels.get_labels(tx, job.id)
    return JobView(
        **{key.name: getattr(result, key.name) for key in list_keys(JobResult)},
        owner=job.owner,
        name=job.name,
        tags=said.tags,
        note=said.note,
        like=job.like_job_id,
        cause=tries[-1].cause.value if tries and tries[-1].cause else None,
        reason=job.reason,
        estimated_start_at=job.estimated_start_at,
        log_tail=_log_tail(tx, job, tries),
        gpus=job.gpus,
        memory_mib=job.memory_mib,
        ample_memory_mib=job.ample_memory_mib,
        priority=job.scheduling.priority.value,
        project=job.scheduling.project,
        after=list(dependencies.list_after(tx, job.id)),
        not_before=job.scheduling.not_before,
        exclusive=job.scheduling.exclusive,
        gpu_model=job.scheduling.gpu_model,
        host_asked_for=job.scheduling.host_name,
        hosts=job.scheduling.hosts,
        preemptions=job.preemptions,
        submitted_at=job.submitted_at,
        ended_at=job.ended_at,
        spec=_read_tree(job.spec),
        attempts=[_describe_attempt(tx, attempt) for attempt in tries],
        events=_list_events(tx, job.id),
    )


def _read_tree(text: str) -> Mapping[str, Any]:
    """Parse a stored spec without checking its fields.

    Raises:
        ValueError: it is no JSON object.
    """
    tree = json.loads(text)
    if not isinstance(tree, dict):
        raise ValueError("the stored spec is no JSON object")
    return tree


def list_event_views(store: Store, job_id: JobId) -> Sequence[AuditEntryView]:
    """A job's audit, oldest line first.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        return _list_events(tx, jobs.get_job(tx, job_id).id)


def _list_events(tx: Transaction, job_id: JobId) -> Sequence[AuditEntryView]:
    return [
        AuditEntryView(at=e.at, actor=e.actor, action=e.action.value, detail=e.detail)
        for e in audit.list_entries(tx, job_id)
    ]


def _result(tx: Transaction, job: Job, tries: Sequence[Attempt]) -> JobResult:
    last = tries[-1] if tries else None
    values = dict(metrics.last_values(tx, job.id))
    return JobResult(
        job=job.id,
        state=job.state.value,
        outcome=last.outcome.value if last and last.outcome else None,
        epochs=last.epochs_completed if last else 0,
        metrics=values,
        verdicts=[VerdictView(**asdict(verdict)) for verdict in _judge(job, last, values)],
        dataset=job.dataset,
        weights_digest=last.weights_digest if last else None,
        run_dir=last.run_dir if last else None,
        checkpoints=[
            CheckpointView(
                step=c.step, epoch=c.epoch, kind=c.kind.value, bytes=c.bytes, digest=c.digest, path=c.path
            )
            for c in checkpoints.list_checkpoints(tx, job.id)
        ],
        model=last.model_path if last else None,
    )


def _judge(job: Job, last: Attempt | None, values: Mapping[str, float | None]) -> Sequence[Verdict]:
    epochs = last.epochs_completed if last else 0
    found = judge(values, epochs=epochs)
    if all(verdict.name != "does not learn" for verdict in found):
        return found  # for all others, no spec needs to be read
    try:
        cause = suspect_cause(read_spec(job.spec))
    except NewerSpec:  # what was measured is judged all the same
        return found
    return judge(values, epochs=epochs, likely_cause=cause)


def _log_tail(tx: Transaction, job: Job, tries: Sequence[Attempt]) -> Sequence[str]:
    """The last lines of the log of a job that failed: what people want to read first."""
    if job.state is not JobState.FAILED or not tries:
        return []
    return logs.get_log_tail(tx, tries[-1].id).splitlines()[-LOG_LINES:]


def _describe_attempt(tx: Transaction, attempt: Attempt) -> AttemptView:
    gpus = leases.list_leased_gpus(tx, attempt.id)
    return AttemptView(
        number=attempt.number,
        state=attempt.state.value,
        outcome=attempt.outcome.value if attempt.outcome else None,
        cause=attempt.cause.value if attempt.cause else None,
        reason=attempt.reason,
        host=attempt.host_name,
        hosts=list(dict.fromkeys([attempt.host_name, *(gpu.host_name for gpu in gpus)])),
        devices=[gpu.uuid for gpu in gpus],
        trainer_pid=attempt.trainer_pid,
        run_dir=attempt.run_dir,
        start_step=attempt.start_step,
        created_at=attempt.created_at,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
    )
