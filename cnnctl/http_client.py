"""The client over the API; see `cnnctl.client.Client`. On the standard library alone."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from cnnctl.client import ALL_JOBS, Progress
from cnnctl.connection import PAUSE_SECONDS, RETRY_SECONDS, Connection
from cnnctl.errors import CnnctlError, ServiceUnavailable
from cnnctl.upload import upload_dataset
from cnnctl.views.access import AuditView, HealthView, LinkView, MeView, NewTokenView, TokenView, VersionView
from cnnctl.views.codec import from_json, to_json
from cnnctl.views.datasets import DatasetPage, DatasetView
from cnnctl.views.dry_run import DryRunView
from cnnctl.views.fleet import GpuView, HostView
from cnnctl.views.jobs import (
    AuditEntryView,
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
    SubmissionView,
)
from cnnctl.views.ops import Finding, GarbageView
from cnnctl.views.people import HookView, UsageView, UserView
from cnnctl.views.requests import (
    GarbageRequest,
    HookRequest,
    JobQuery,
    LabelRequest,
    SubmissionRequest,
    TokenRequest,
)

View = TypeVar("View")
PART_BYTES = 1024 * 1024
COLLECT_SECONDS = 3600.0


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

    # Who, and how

    def get_version(self) -> VersionView:
        return from_json(VersionView, self._api.get("version"))

    def get_me(self) -> MeView:
        return from_json(MeView, self._api.get("me"))

    def get_health(self) -> HealthView:
        return from_json(HealthView, self._api.get("health"))

    # Jobs

    def submit(self, request: SubmissionRequest) -> SubmissionView:
        return from_json(SubmissionView, self._api.act("POST", "jobs", body=to_json(request)))

    def dry_run(self, request: SubmissionRequest) -> DryRunView:
        return from_json(DryRunView, self._api.act("POST", "dry-runs", body=to_json(request)))

    def list_jobs(self, query: JobQuery = ALL_JOBS, *, limit: int = 50, before: int | None = None) -> JobPage:
        return from_json(JobPage, self._api.get("jobs", **_given(query), limit=limit, before=before))

    def count_jobs(self, query: JobQuery = ALL_JOBS) -> JobCounts:
        return from_json(JobCounts, self._api.get("job-counts", **_given(query)))

    def diff(self, first: int, second: int) -> JobDiffView:
        return from_json(JobDiffView, self._api.get("jobs", first, "diff", second))

    def change_labels(self, job: int, request: LabelRequest) -> LabelsView:
        return from_json(LabelsView, self._api.act("PATCH", "jobs", job, "labels", body=to_json(request)))

    def get_job(self, job: int) -> JobView:
        return from_json(JobView, self._api.get("jobs", job))

    def get_result(self, job: int) -> JobResult:
        return from_json(JobResult, self._api.get("jobs", job, "result"))

    def get_progress(self, job: int) -> ProgressView:
        return from_json(ProgressView, self._api.get("jobs", job, "progress"))

    def list_history(self, job: int) -> Sequence[AuditEntryView]:
        return _all(AuditEntryView, self._api.get("jobs", job, "history"))

    def get_metrics(self, job: int, *, after: int | None = None) -> MetricsView:
        return from_json(MetricsView, self._api.get("jobs", job, "metrics", after=after))

    def read_log(self, job: int, *, attempt: int = 0, start: int = 0) -> LogView:
        return from_json(LogView, self._api.get("jobs", job, "log", attempt=attempt, start=start))

    def list_files(self, job: int) -> Sequence[JobFile]:
        return _all(JobFile, self._api.get("jobs", job, "files"))

    def download(self, job: int, file: JobFile, target: Path) -> Iterator[int]:
        """Write a file to `target`, going on where an earlier try ended; yields how many bytes it has."""
        partial = target.with_name(f".{target.name}.part")
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            had = partial.stat().st_size if partial.exists() else 0
            try:
                yield from self._fetch(job, file, partial, had)
                break
            except (OSError, HTTPException, ServiceUnavailable) as error:
                if partial.exists() and partial.stat().st_size > had:
                    deadline = time.monotonic() + RETRY_SECONDS
                if time.monotonic() > deadline:
                    raise self._api.explain_away(error) from None
                time.sleep(PAUSE_SECONDS)
        if file.digest is not None and _digest(partial) != file.digest:
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
        if file.digest is not None and partial.stat().st_size < file.bytes:
            raise HTTPException("it ended early")

    def follow_events(self, *, job: int | None = None, after: int | None = None) -> Iterator[AuditView]:
        """Everything that is done, from now on or after an entry; it never ends by itself."""
        last = after
        while True:
            with suppress(OSError, HTTPException, ServiceUnavailable):
                headers = {} if last is None else {"Last-Event-ID": str(last)}
                with self._api.stream("events", headers=headers, job=job) as response:
                    for name, text in _read_events(response):
                        if name == "problem":  # the answer to the next request tells one that stays
                            break
                        if name == "position":
                            last = int(text)
                            continue
                        view = from_json(AuditView, json.loads(text))
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
        return from_json(JobStateView, self._api.act("POST", "jobs", job, verb, body=body))

    # The lab's own datasets

    def list_datasets(self) -> Sequence[DatasetView]:
        return _all(DatasetView, self._api.get("datasets"))

    def get_dataset(self, name: str) -> DatasetPage:
        return from_json(DatasetPage, self._api.get("datasets", name))

    def add_dataset(
        self, name: str, path: Path, *, description: str = "", report: Progress = lambda *_: None
    ) -> DatasetView:
        return upload_dataset(self._api, name, path, description=description, report=report)

    def remove_dataset(self, name: str) -> None:
        self._api.act("DELETE", "datasets", name)

    # GPUs and hosts

    def list_gpus(self) -> Sequence[GpuView]:
        return _all(GpuView, self._api.get("gpus"))

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
        return from_json(GarbageView, answer)

    # People

    def list_usage(self, *, owner: str | None = None, since: datetime | None = None) -> Sequence[UsageView]:
        return _all(UsageView, self._api.get("usage", owner=owner, since=since and since.isoformat()))

    def list_users(self) -> Sequence[UserView]:
        return _all(UserView, self._api.get("users"))

    def change_user(self, name: str, changes: Mapping[str, Any]) -> UserView:
        return from_json(UserView, self._api.act("PATCH", "users", name, body=dict(changes)))

    def add_hook(self, request: HookRequest) -> HookView:
        return from_json(HookView, self._api.act("POST", "hooks", body=to_json(request)))

    def list_hooks(self) -> Sequence[HookView]:
        return _all(HookView, self._api.get("hooks"))

    def remove_hook(self, hook: int) -> None:
        self._api.act("DELETE", "hooks", hook)

    def create_token(self, request: TokenRequest) -> NewTokenView:
        return from_json(NewTokenView, self._api.act("POST", "tokens", body=to_json(request)))

    def list_tokens(self, *, everybody: bool = False) -> Sequence[TokenView]:
        return _all(TokenView, self._api.get("tokens", everybody="true" if everybody else None))

    def revoke_token(self, token: int) -> None:
        self._api.act("DELETE", "tokens", token)

    def make_link(self) -> LinkView:
        return from_json(LinkView, self._api.act("POST", "links"))

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


def _all(view: type[View], documents: Sequence[Mapping[str, Any]]) -> Sequence[View]:
    return [from_json(view, document) for document in documents]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            digest.update(part)
    return digest.hexdigest()


def _read_events(lines: Any) -> Iterator[tuple[str, str]]:
    """The events of a stream as name and data; ours have one line of data each."""
    name = data = ""
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        key, _, value = line.partition(":")
        if key == "event":
            name = value.strip()
        elif key == "data":
            data = value.strip()
        elif not line and data:
            yield name, data
            name = data = ""
