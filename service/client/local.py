"""The client over a store: for the embedded stack, for administrators, and for the API itself."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from cnnctl.client import ALL_JOBS, Progress
from cnnctl.views.access import AuditView, HealthView, LinkView, MeView, NewTokenView, TokenView
from cnnctl.views.curves import BandView, CurveView
from cnnctl.views.datasets import DatasetPage, DatasetView, UploadView
from cnnctl.views.dry_run import DryRunView
from cnnctl.views.fleet import GpuHistoryView, GpuView, HostView
from cnnctl.views.jobs import (
    AuditEntryView,
    ComparisonView,
    JobCounts,
    JobDiffView,
    JobFile,
    JobPage,
    JobResult,
    JobStateView,
    JobView,
    LabelsView,
    LogView,
    MetricsView,
    ProgressView,
    SpecView,
    SubmissionView,
)
from cnnctl.views.networks import CatalogEntry, NetworkView, SpecField
from cnnctl.views.ops import Finding, GarbageView
from cnnctl.views.people import HookView, UsageDayView, UsageView, UserView
from cnnctl.views.requests import (
    GarbageRequest,
    HookRequest,
    JobQuery,
    JobSort,
    LabelRequest,
    NetworkRequest,
    StudyRequest,
    SubmissionRequest,
    TokenRequest,
    UploadRequest,
)
from cnnctl.views.studies import StudyEntry, StudyEvidence, StudyReport, StudyView
from service.commands.datasets import registry, uploading
from service.commands.datasets.adding import add_dataset
from service.commands.fleet import gpus, hosts
from service.commands.fleet.gpu_history import list_gpu_history
from service.commands.fleet.health import check_health
from service.commands.jobs import control, files, job_list, logs, metrics, progress, status
from service.commands.jobs.bands import get_bands
from service.commands.jobs.comparison import compare_jobs
from service.commands.jobs.curves import get_curves
from service.commands.jobs.diff import diff_jobs
from service.commands.jobs.labels import change_labels
from service.commands.people import audit, credentials, hooks, usage, users
from service.commands.people.identity import describe_actor
from service.commands.people.permissions import check_administrator
from service.domain.choices import read_choice
from service.domain.credentials import CredentialId
from service.domain.datasets import UploadId
from service.domain.hooks import HookId
from service.domain.job_filter import JobFilter
from service.domain.jobs import JobId
from service.domain.labels import LabelChanges, Labels
from service.domain.people import Actor
from service.domain.states import Channel, DatasetKind, JobState, Occasion, Priority, Subject
from service.domain.studies.study import StudyId
from service.errors import SpecError
from service.settings import Settings
from service.store.transaction import Store


class LocalClient:
    """One person's access to the service through its database; see `cnnctl.client.Client`."""

    def __init__(self, store: Store, settings: Settings, actor: Actor) -> None:
        self._store = store
        self._settings = settings
        self._actor = actor

    # Who, and how

    def get_me(self) -> MeView:
        return describe_actor(self._store, self._actor)

    def get_health(self) -> HealthView:
        return check_health(self._store, self._settings)

    # Jobs

    def submit(self, request: SubmissionRequest) -> SubmissionView:
        from service.commands.jobs.submit import submit  # with Pydantic: 0.1 s that no other command needs

        return submit(self._store, self._settings, request.architecture, request.fields, **self._ask(request))

    def dry_run(self, request: SubmissionRequest) -> DryRunView:
        from service.commands.jobs.dry_run import dry_run_job  # with the scheduler's policy: 30 ms

        return dry_run_job(
            self._store, self._settings, request.architecture, request.fields, **self._ask(request)
        )

    def _ask(self, request: SubmissionRequest) -> Mapping[str, Any]:
        _check_zone("not_before", request.not_before)
        asked: dict[str, Any] = {
            "priority": _read_priority(request.priority) if request.priority else None,
            "project": request.project,
            "not_before": request.not_before,
            "exclusive": request.exclusive,
            "gpu_model": request.gpu_model,
            "host_name": request.host,
            "hosts": request.hosts,
        }
        return {
            "owner": self._actor,
            "scheduling": {name: value for name, value in asked.items() if value is not None},
            "after": [JobId(job) for job in request.after],
            "labels": Labels(name=request.name, tags=tuple(request.tags), note=request.note),
            "like": None if request.like is None else JobId(request.like),
            "hold": request.hold,
        }

    def list_jobs(
        self,
        query: JobQuery = ALL_JOBS,
        *,
        limit: int = 50,
        before: int | None = None,
        sort: JobSort = "newest",
    ) -> JobPage:
        number = None if before is None else JobId(before)
        return job_list.list_job_page(
            self._store, filter=_to_filter(query), limit=limit, before=number, sort=sort
        )

    def count_jobs(self, query: JobQuery = ALL_JOBS) -> JobCounts:
        return job_list.count_job_states(self._store, filter=_to_filter(query))

    def diff(self, first: int, second: int) -> JobDiffView:
        return diff_jobs(self._store, self._settings, JobId(first), JobId(second))

    def compare(self, jobs: Sequence[int]) -> ComparisonView:
        return compare_jobs(self._store, self._settings, [JobId(job) for job in jobs])

    def change_labels(self, job: int, request: LabelRequest) -> LabelsView:
        changes = LabelChanges(
            name=request.name,
            note=request.note,
            add_tags=request.add_tags,
            remove_tags=request.remove_tags,
        )
        return change_labels(self._store, JobId(job), changes, actor=self._actor)

    def get_job(self, job: int) -> JobView:
        return status.get_job_view(self._store, JobId(job))

    def get_result(self, job: int) -> JobResult:
        return status.get_result_view(self._store, JobId(job))

    def get_progress(self, job: int) -> ProgressView:
        return progress.get_progress_view(self._store, JobId(job))

    def list_history(self, job: int) -> Sequence[AuditEntryView]:
        return status.list_event_views(self._store, JobId(job))

    def get_metrics(self, job: int, *, after: int | None = None) -> MetricsView:
        return metrics.get_metrics_view(self._store, JobId(job), after=after)

    def get_curves(
        self,
        jobs: Sequence[int],
        metrics: Sequence[str],
        *,
        start: int | None = None,
        end: int | None = None,
        points: int = 600,
    ) -> Sequence[CurveView]:
        ids = [JobId(job) for job in jobs]
        return get_curves(self._store, ids, metrics, start=start, end=end, points=points)

    def read_log(self, job: int, *, attempt: int = 0, start: int = 0, tail: bool = False) -> LogView:
        return logs.read_log(self._store, self._settings, JobId(job), attempt=attempt, start=start, tail=tail)

    def explain_spec(self, job: int) -> SpecView:
        from service.commands.jobs.spec_choices import explain_spec  # with Pydantic, as submit

        return explain_spec(self._store, JobId(job))

    def get_bands(
        self,
        jobs: Sequence[int],
        metric: str,
        *,
        start: int | None = None,
        end: int | None = None,
        points: int = 600,
        ignoring: Sequence[str] = ("training.seed",),
    ) -> Sequence[BandView]:
        ids = [JobId(job) for job in jobs]
        return get_bands(self._store, ids, metric, start=start, end=end, points=points, ignoring=ignoring)

    def list_files(self, job: int) -> Sequence[JobFile]:
        return files.list_files(self._store, self._settings, JobId(job))

    def download(self, job: int, file: JobFile, target: Path) -> Iterator[int]:
        with files.open_file(self._store, self._settings, JobId(job), file.name) as source:
            with target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
                yield copy.tell()

    def cancel(self, job: int) -> JobStateView:
        return self._act(job, control.cancel)

    def pause(self, job: int) -> JobStateView:
        return self._act(job, control.pause)

    def hold(self, job: int) -> JobStateView:
        return self._act(job, control.hold)

    def resume(self, job: int, *, from_start: bool = False) -> JobStateView:
        return self._act(job, partial(control.resume, from_start=from_start))

    def retry(self, job: int) -> JobStateView:
        return self._act(job, control.retry)

    def set_priority(self, job: int, priority: str) -> JobStateView:
        return self._act(job, partial(control.set_priority, priority=_read_priority(priority)))

    def _act(self, job: int, act: Any) -> JobStateView:
        state: JobState = act(self._store, JobId(job), actor=self._actor)
        return JobStateView(job=job, state=state.value)

    # Networks

    def describe_network(self, architecture: str, request: NetworkRequest) -> NetworkView:
        from service.commands.networks.description import describe_network  # with Pydantic

        return describe_network(architecture, request)

    def list_catalog(self, section: str) -> Sequence[CatalogEntry]:
        from service.commands.networks.catalog import DATASETS, list_entries  # the same

        own = registry.list_catalog_entries(self._store) if section == DATASETS else []
        return [*list_entries(section), *own]

    def list_spec_fields(self) -> Sequence[SpecField]:
        from service.commands.networks.catalog import list_fields  # the same

        return list_fields()

    # The lab's own datasets

    def list_datasets(self) -> Sequence[DatasetView]:
        return registry.list_dataset_views(self._store)

    def get_dataset(self, name: str) -> DatasetPage:
        return registry.get_dataset_page(self._store, name)

    def add_dataset(
        self, name: str, path: Path, *, description: str = "", report: Progress = lambda *_: None
    ) -> DatasetView:
        return add_dataset(
            self._store, self._settings, name, path, actor=self._actor, description=description, report=report
        )

    def remove_dataset(self, name: str) -> None:
        registry.remove_dataset(self._store, self._settings, name, actor=self._actor)

    def begin_upload(self, request: UploadRequest) -> UploadView:
        return uploading.begin_upload(
            self._store,
            self._settings,
            request.name,
            kind=read_choice(DatasetKind, request.kind, what="kind"),
            total_bytes=request.total_bytes,
            digest=request.digest,
            description=request.description,
            actor=self._actor,
        )

    def list_uploads(self) -> Sequence[UploadView]:
        return uploading.list_uploads(self._store, self._settings, actor=self._actor)

    def get_upload(self, upload: int) -> UploadView:
        return uploading.upload_state(self._store, self._settings, UploadId(upload), actor=self._actor)

    def write_piece(self, upload: int, *, offset: int, data: bytes) -> UploadView:
        return uploading.write_piece(
            self._store, self._settings, UploadId(upload), offset=offset, data=data, actor=self._actor
        )

    def finish_upload(self, upload: int) -> DatasetView:
        return uploading.finish_upload(self._store, self._settings, UploadId(upload), actor=self._actor)

    def remove_upload(self, upload: int) -> None:
        uploading.remove_upload(self._store, self._settings, UploadId(upload), actor=self._actor)

    # Studies; with Pydantic, 0.1 s that no other command needs

    def list_study_catalog(self) -> Sequence[StudyEntry]:
        from service.commands.studies.catalog import list_entries

        return list_entries(self._store)

    def start_study(self, request: StudyRequest) -> StudyView:
        from service.commands.studies.starting import start_study

        return start_study(self._store, self._settings, request, actor=self._actor)

    def list_studies(self, *, running: bool = False, limit: int = 50) -> Sequence[StudyView]:
        from service.commands.studies.reading import list_study_views

        return list_study_views(self._store, running=running, limit=limit)

    def get_study(self, study: int) -> StudyView:
        from service.commands.studies.reading import get_study_view

        return get_study_view(self._store, StudyId(study))

    def get_study_evidence(self, study: int) -> StudyEvidence:
        from service.commands.studies.reading import get_evidence

        return get_evidence(self._store, StudyId(study))

    def get_study_report(self, study: int) -> StudyReport:
        from service.commands.studies.reading import get_report

        return get_report(self._store, StudyId(study))

    def cancel_study(self, study: int) -> StudyView:
        from service.commands.studies.acts import cancel_study

        return cancel_study(self._store, StudyId(study), actor=self._actor)

    def extend_study(self, study: int, *, seeds: int) -> StudyView:
        from service.commands.studies.acts import extend_study

        return extend_study(self._store, StudyId(study), seeds=seeds, actor=self._actor)

    def rerun_study(self, study: int) -> StudyView:
        from service.commands.studies.acts import rerun_study

        return rerun_study(self._store, StudyId(study), actor=self._actor)

    # GPUs and hosts

    def list_gpus(self) -> Sequence[GpuView]:
        return gpus.list_gpu_views(self._store, self._settings)

    def list_gpu_history(self, *, hours: float = 24, points: int = 288) -> Sequence[GpuHistoryView]:
        return list_gpu_history(self._store, hours=hours, points=points)

    def drain_gpus(self, names: Sequence[str], *, reason: str) -> Sequence[GpuView]:
        return gpus.drain_gpus(self._store, self._settings, names, reason=reason, actor=self._actor)

    def undrain_gpus(self, names: Sequence[str]) -> Sequence[GpuView]:
        return gpus.undrain_gpus(self._store, self._settings, names, actor=self._actor)

    def quarantine_gpus(self, names: Sequence[str], *, reason: str) -> Sequence[GpuView]:
        return gpus.quarantine_gpus(self._store, self._settings, names, reason=reason, actor=self._actor)

    def release_gpus(self, names: Sequence[str]) -> Sequence[GpuView]:
        return gpus.release_gpus(self._store, self._settings, names, actor=self._actor)

    def list_hosts(self) -> Sequence[HostView]:
        return hosts.list_host_views(self._store, self._settings)

    def remove_host(self, name: str) -> None:
        hosts.remove_host(self._store, self._settings, name, actor=self._actor)

    # The service itself

    def examine(self, *, deep: bool = False) -> Sequence[Finding]:
        from service.commands.ops.doctor import examine  # with psutil and the broker: seldom needed

        with self._store.reading() as tx:
            check_administrator(tx, self._actor, act="examine the service")
        return list(examine(deep=deep))

    def collect_garbage(self, request: GarbageRequest) -> GarbageView:
        from service.commands.ops.garbage import Policy, collect_garbage

        policy = Policy(older_than_days=request.older_than_days, orphans=request.orphans)
        return collect_garbage(
            self._store, self._settings, policy, dry_run=request.dry_run, actor=self._actor
        )

    # People

    def list_usage(self, *, owner: str | None = None, since: datetime | None = None) -> Sequence[UsageView]:
        return usage.list_usage_views(self._store, owner=owner, since=since)

    def list_usage_by_day(self, *, since: datetime | None = None) -> Sequence[UsageDayView]:
        return usage.list_usage_day_views(self._store, since=since)

    def list_users(self) -> Sequence[UserView]:
        return users.list_user_views(self._store)

    def change_user(self, name: str, changes: Mapping[str, Any]) -> UserView:
        return users.change_user(self._store, name, changes, actor=self._actor)

    def add_hook(self, request: HookRequest) -> HookView:
        return hooks.add_hook(
            self._store,
            self._settings,
            channel=read_choice(Channel, request.channel, what="channel"),
            address=request.address,
            occasions={read_choice(Occasion, name, what="occasion") for name in request.on},
            actor=self._actor,
        )

    def list_hooks(self) -> Sequence[HookView]:
        return hooks.list_hook_views(self._store, actor=self._actor)

    def remove_hook(self, hook: int) -> None:
        hooks.remove_hook(self._store, HookId(hook), actor=self._actor)

    def create_token(self, request: TokenRequest, *, key: str | None = None) -> NewTokenView:
        return credentials.create_token(self._store, request, actor=self._actor, key=key)

    def list_tokens(self, *, everybody: bool = False) -> Sequence[TokenView]:
        return credentials.list_token_views(self._store, everybody=everybody, actor=self._actor)

    def revoke_token(self, token: int) -> None:
        credentials.revoke_token(self._store, CredentialId(token), actor=self._actor)

    def make_link(self) -> LinkView:
        return credentials.make_link(self._store, self._settings, actor=self._actor)

    def list_audit(
        self,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        subject: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> Sequence[AuditView]:
        about = read_choice(Subject, subject, what="subject") if subject else None
        return audit.list_audit_views(
            self._store, since=since, actor=actor, subject=about, before=before, limit=limit
        )


def _read_priority(text: str) -> Priority:
    return read_choice(Priority, text, what="priority")


def _to_filter(query: JobQuery) -> JobFilter:
    _check_zone("since", query.since)
    _check_zone("ended_since", query.ended_since)
    return JobFilter(
        owner=query.owner,
        states=[read_choice(JobState, state, what="state") for state in query.state],
        project=query.project,
        tags=query.tag,
        architecture=query.network,
        dataset=query.dataset,
        since=query.since,
        ended_since=query.ended_since,
        text=query.text,
        like=None if query.like is None else JobId(query.like),
    )


def _check_zone(name: str, moment: datetime | None) -> None:
    if moment is not None and moment.tzinfo is None:
        raise SpecError(f"{name}: a moment needs its offset from UTC, as in 2026-11-01T22:00+01:00")
