"""The client over the API; see `cnnctl.client.Client`. On the standard library alone."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from cnnctl.client import ALL_JOBS, Progress
from cnnctl.connection import PAUSE_SECONDS, RETRY_SECONDS, Connection, read_view
from cnnctl.errors import CnnctlError, OtherVersion, ServiceUnavailable, TooManyRequests
from cnnctl.files import file_digest
from cnnctl.upload import upload_dataset
from cnnctl.views.access import AuditView, HealthView, LinkView, MeView, NewTokenView, TokenView, VersionView
from cnnctl.views.codec import to_json
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
    ExtendRequest,
    GarbageRequest,
    HookRequest,
    JobQuery,
    JobSort,
    LabelRequest,
    NetworkRequest,
    StudyRequest,
    SubmissionRequest,
    TokenRequest,
)
from cnnctl.views.studies import StudyEntry, StudyEvidence, StudyReport, StudyView

View = TypeVar("View")
PART_BYTES = 1024 * 1024
COLLECT_SECONDS = 3600.0
LONGEST_LINE = 16 * 1024 * 1024  # of a stream


class HttpClient:
    """One person's access to the service over its API."""

    def __init__(self, connection: Connection) -> None:
        self._api = connection

    @classmethod
    def on_socket(cls, path: Path) -> "HttpClient":
        """Over the unix socket of this machine: the kernel says who asks."""
        return cls(Connection.on_socket(path))

    @classmethod
    def at(cls, url: str, *, token: str) -> "HttpClient":
        """At an address, with a token."""
        return cls(Connection.at(url, token=token))

    def report_waits(self, report: Callable[[str], object]) -> None:
        """Tell somebody, in words, when the service has to be asked again."""
        self._api.report = report

    # Who, and how

    def get_version(self) -> VersionView:
        return read_view(VersionView, self._api.get("version"))

    def get_me(self) -> MeView:
        return read_view(MeView, self._api.get("me"))

    def get_health(self) -> HealthView:
        return read_view(HealthView, self._api.get("health"))

    # Jobs

    def submit(self, request: SubmissionRequest) -> SubmissionView:
        return read_view(SubmissionView, self._api.act("POST", "jobs", body=to_json(request)))

    def dry_run(self, request: SubmissionRequest) -> DryRunView:
        return read_view(DryRunView, self._api.act("POST", "dry-runs", body=to_json(request)))

    def list_jobs(
        self,
        query: JobQuery = ALL_JOBS,
        *,
        limit: int = 50,
        before: int | None = None,
        sort: JobSort = "newest",
    ) -> JobPage:
        return read_view(
            JobPage, self._api.get("jobs", **_given(query), limit=limit, before=before, sort=sort)
        )

    def count_jobs(self, query: JobQuery = ALL_JOBS) -> JobCounts:
        return read_view(JobCounts, self._api.get("job-counts", **_given(query)))

    def diff(self, first: int, second: int) -> JobDiffView:
        return read_view(JobDiffView, self._api.get("jobs", first, "diff", second))

    def compare(self, jobs: Sequence[int]) -> ComparisonView:
        return read_view(ComparisonView, self._api.get("comparison", job=jobs))

    def change_labels(self, job: int, request: LabelRequest) -> LabelsView:
        return read_view(LabelsView, self._api.act("PATCH", "jobs", job, "labels", body=to_json(request)))

    def get_job(self, job: int) -> JobView:
        return read_view(JobView, self._api.get("jobs", job))

    def get_result(self, job: int) -> JobResult:
        return read_view(JobResult, self._api.get("jobs", job, "result"))

    def get_progress(self, job: int) -> ProgressView:
        return read_view(ProgressView, self._api.get("jobs", job, "progress"))

    def list_history(self, job: int) -> Sequence[AuditEntryView]:
        return _all(AuditEntryView, self._api.get("jobs", job, "history"))

    def get_metrics(self, job: int, *, after: int | None = None) -> MetricsView:
        return read_view(MetricsView, self._api.get("jobs", job, "metrics", after=after))

    def get_curves(
        self,
        jobs: Sequence[int],
        metrics: Sequence[str],
        *,
        start: int | None = None,
        end: int | None = None,
        points: int = 600,
    ) -> Sequence[CurveView]:
        found = self._api.get("curves", job=jobs, metric=metrics, start=start, end=end, points=points)
        return _all(CurveView, found)

    def read_log(self, job: int, *, attempt: int = 0, start: int = 0, tail: bool = False) -> LogView:
        return read_view(LogView, self._api.get("jobs", job, "log", attempt=attempt, start=start, tail=tail))

    def explain_spec(self, job: int) -> SpecView:
        return read_view(SpecView, self._api.get("jobs", job, "spec"))

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
        query = {"job": jobs, "metric": metric, "start": start, "end": end, "points": points}
        return _all(BandView, self._api.get("bands", **query, ignoring=list(ignoring) or ""))

    def list_files(self, job: int) -> Sequence[JobFile]:
        return _all(JobFile, self._api.get("jobs", job, "files"))

    def download(self, job: int, file: JobFile, target: Path) -> Iterator[int]:
        """Write a file to `target`, going on where an earlier try ended; yields how many bytes it has."""
        partial = target.with_name(f".{target.name}.part")
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            # Without a digest nobody would notice that what is there is of another file.
            had = partial.stat().st_size if file.digest and partial.exists() else 0
            try:
                yield from self._fetch(job, file, partial, had)
                break
            except (OSError, HTTPException, ServiceUnavailable) as error:
                if partial.exists() and partial.stat().st_size > had:
                    deadline = time.monotonic() + RETRY_SECONDS
                if time.monotonic() > deadline:
                    raise self._api.explain_away(error) from None
                time.sleep(PAUSE_SECONDS)
        if file.digest is not None and file_digest(partial) != file.digest:
            partial.unlink()
            raise CnnctlError(f"{file.name} of job {job} came damaged, or has changed meanwhile. Try again")
        partial.replace(target)

    def _fetch(self, job: int, file: JobFile, partial: Path, had: int) -> Iterator[int]:
        headers = {"Range": f"bytes={had}-"} if had and had < file.bytes else {}
        with self._api.stream("jobs", job, "files", file.name, headers=headers) as response:
            continues = response.status == 206
            with partial.open("ab" if continues else "wb") as copy:
                while part := response.read(PART_BYTES):
                    copy.write(part)
                    yield copy.tell()
            if response.length:  # so many bytes were said, and did not come
                raise HTTPException("it ended early")

    def follow_events(self, *, job: int | None = None, after: int | None = None) -> Iterator[AuditView]:
        """Everything that is done, from now on or after an entry; it never ends by itself."""
        last = after
        while True:
            with suppress(OSError, HTTPException, ServiceUnavailable, TooManyRequests):
                headers = {} if last is None else {"Last-Event-ID": str(last)}
                with self._api.stream("events", headers=headers, job=job) as response:
                    for name, text in _read_events(response):
                        if name == "problem":
                            raise self._api.read_problem(0, text.encode())
                        document = _parse(text)
                        if name == "position":
                            last = document
                            continue
                        view = read_view(AuditView, document)
                        last = view.entry
                        yield view
            time.sleep(PAUSE_SECONDS)

    def cancel(self, job: int) -> JobStateView:
        return self._act(job, "cancel")

    def pause(self, job: int) -> JobStateView:
        return self._act(job, "pause")

    def hold(self, job: int) -> JobStateView:
        return self._act(job, "hold")

    def resume(self, job: int, *, from_start: bool = False) -> JobStateView:
        return self._act(job, "resume", {"from_start": from_start})

    def retry(self, job: int) -> JobStateView:
        return self._act(job, "retry")

    def set_priority(self, job: int, priority: str) -> JobStateView:
        return self._act(job, "priority", {"priority": priority})

    def _act(self, job: int, verb: str, body: object = None) -> JobStateView:
        return read_view(JobStateView, self._api.act("POST", "jobs", job, verb, body=body))

    # Networks

    def describe_network(self, architecture: str, request: NetworkRequest) -> NetworkView:
        return read_view(NetworkView, self._api.act("POST", "networks", architecture, body=to_json(request)))

    def list_catalog(self, section: str) -> Sequence[CatalogEntry]:
        return _all(CatalogEntry, self._api.get("catalog", section))

    def list_spec_fields(self) -> Sequence[SpecField]:
        return _all(SpecField, self._api.get("spec-fields"))

    # The lab's own datasets

    def list_datasets(self) -> Sequence[DatasetView]:
        return _all(DatasetView, self._api.get("datasets"))

    def list_uploads(self) -> Sequence[UploadView]:
        return _all(UploadView, self._api.get("uploads"))

    def get_dataset(self, name: str) -> DatasetPage:
        return read_view(DatasetPage, self._api.get("datasets", name))

    def add_dataset(
        self, name: str, path: Path, *, description: str = "", report: Progress = lambda *_: None
    ) -> DatasetView:
        return upload_dataset(self._api, name, path, description=description, report=report)

    def remove_dataset(self, name: str) -> None:
        self._api.act("DELETE", "datasets", name)

    # Studies

    def list_study_catalog(self) -> Sequence[StudyEntry]:
        return _all(StudyEntry, self._api.get("study-catalog"))

    def start_study(self, request: StudyRequest) -> StudyView:
        return read_view(StudyView, self._api.act("POST", "studies", body=to_json(request)))

    def list_studies(self, *, running: bool = False, limit: int = 50) -> Sequence[StudyView]:
        return _all(StudyView, self._api.get("studies", running=running, limit=limit))

    def get_study(self, study: int) -> StudyView:
        return read_view(StudyView, self._api.get("studies", study))

    def get_study_evidence(self, study: int) -> StudyEvidence:
        return read_view(StudyEvidence, self._api.get("studies", study, "evidence"))

    def get_study_report(self, study: int) -> StudyReport:
        return read_view(StudyReport, self._api.get("studies", study, "report"))

    def cancel_study(self, study: int) -> StudyView:
        return read_view(StudyView, self._api.act("POST", "studies", study, "cancel"))

    def extend_study(self, study: int, *, seeds: int) -> StudyView:
        body = to_json(ExtendRequest(seeds=seeds))
        return read_view(StudyView, self._api.act("POST", "studies", study, "extend", body=body))

    def rerun_study(self, study: int) -> StudyView:
        return read_view(StudyView, self._api.act("POST", "studies", study, "rerun"))

    # GPUs and hosts

    def list_gpus(self) -> Sequence[GpuView]:
        return _all(GpuView, self._api.get("gpus"))

    def list_gpu_history(self, *, hours: float = 24, points: int = 288) -> Sequence[GpuHistoryView]:
        return _all(GpuHistoryView, self._api.get("gpus", "history", hours=hours, points=points))

    def drain_gpus(self, names: Sequence[str], *, reason: str) -> Sequence[GpuView]:
        return self._act_on_gpus("drain", names, reason)

    def undrain_gpus(self, names: Sequence[str]) -> Sequence[GpuView]:
        return self._act_on_gpus("undrain", names)

    def quarantine_gpus(self, names: Sequence[str], *, reason: str) -> Sequence[GpuView]:
        return self._act_on_gpus("quarantine", names, reason)

    def release_gpus(self, names: Sequence[str]) -> Sequence[GpuView]:
        return self._act_on_gpus("release", names)

    def _act_on_gpus(self, verb: str, names: Sequence[str], reason: str = "") -> Sequence[GpuView]:
        body = {"gpus": list(names), "reason": reason}
        return _all(GpuView, self._api.act("POST", "gpus", verb, body=body))

    def list_hosts(self) -> Sequence[HostView]:
        return _all(HostView, self._api.get("hosts"))

    def remove_host(self, name: str) -> None:
        self._api.act("DELETE", "hosts", name)

    # The service itself

    def examine(self, *, deep: bool = False) -> Sequence[Finding]:
        return _all(Finding, self._api.get("doctor", deep="true" if deep else None))

    def collect_garbage(self, request: GarbageRequest) -> GarbageView:
        answer = self._api.act("POST", "garbage", body=to_json(request), seconds=COLLECT_SECONDS)
        return read_view(GarbageView, answer)

    # People

    def list_usage(self, *, owner: str | None = None, since: datetime | None = None) -> Sequence[UsageView]:
        return _all(UsageView, self._api.get("usage", owner=owner, since=since and since.isoformat()))

    def list_usage_by_day(self, *, since: datetime | None = None) -> Sequence[UsageDayView]:
        return _all(UsageDayView, self._api.get("usage", "days", since=since and since.isoformat()))

    def list_users(self) -> Sequence[UserView]:
        return _all(UserView, self._api.get("users"))

    def change_user(self, name: str, changes: Mapping[str, Any]) -> UserView:
        return read_view(UserView, self._api.act("PATCH", "users", name, body=dict(changes)))

    def add_hook(self, request: HookRequest) -> HookView:
        return read_view(HookView, self._api.act("POST", "hooks", body=to_json(request)))

    def list_hooks(self) -> Sequence[HookView]:
        return _all(HookView, self._api.get("hooks"))

    def remove_hook(self, hook: int) -> None:
        self._api.act("DELETE", "hooks", hook)

    def create_token(self, request: TokenRequest) -> NewTokenView:
        return read_view(NewTokenView, self._api.act("POST", "tokens", body=to_json(request)))

    def list_tokens(self, *, everybody: bool = False) -> Sequence[TokenView]:
        return _all(TokenView, self._api.get("tokens", everybody="true" if everybody else None))

    def revoke_token(self, token: int) -> None:
        self._api.act("DELETE", "tokens", token)

    def make_link(self) -> LinkView:
        return read_view(LinkView, self._api.act("POST", "links"))

    def list_audit(
        self,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        subject: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> Sequence[AuditView]:
        when = since and since.isoformat()
        found = self._api.get("audit", since=when, actor=actor, subject=subject, limit=limit, before=before)
        return _all(AuditView, found)


def _given(query: JobQuery) -> Mapping[str, Any]:
    """The parts of a query that ask for something."""
    return {name: value for name, value in to_json(query).items() if value not in (None, "", [])}


def _all(view: type[View], documents: Any) -> Sequence[View]:
    if not isinstance(documents, list):
        raise OtherVersion("The service answers something that is no list: it has another version")
    return [read_view(view, document) for document in documents]


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise OtherVersion("The service tells of an event that is no JSON: it has another version") from None


def _read_events(stream: Any) -> Iterator[tuple[str, str]]:
    """The events of a stream as name and data; ours have one line of data each."""
    name = data = ""
    for raw in iter(partial(stream.readline, LONGEST_LINE), b""):
        line = raw.decode(errors="replace").rstrip("\r\n")
        key, _, value = line.partition(":")
        if key == "event":
            name = value.strip()
        elif key == "data":
            data = value.strip()
        elif not line and data:
            yield name, data
            name = data = ""
