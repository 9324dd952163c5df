"""The routes of jobs."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from cnnctl.views.dry_run import DryRunView
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
from cnnctl.views.requests import (
    JobQuery,
    JobSort,
    LabelRequest,
    PriorityRequest,
    ResumeRequest,
    SubmissionRequest,
)
from cnnctl.views.states import JobState
from service.api.ask import Asked
from service.api.declare import act, get, raw
from service.api.file_answer import FileAnswer
from service.commands.jobs import files
from service.domain.jobs import JobId

router = APIRouter(tags=["jobs"])
MOST_JOBS = 1000  # of one answer
Job = Annotated[int, Path(description="the job's number")]
Text = Annotated[str | None, Query()]


@act(router, "POST", "/jobs", SubmissionView, body=SubmissionRequest, status=201)
def submit(ask: Asked) -> Response:
    """Queue a job."""
    return ask.act(lambda client: client.submit(ask.read(SubmissionRequest)), status=201)


@act(router, "POST", "/dry-runs", DryRunView, body=SubmissionRequest)
def dry_run(ask: Asked) -> Response:
    """Say what a submission would come to; queue nothing."""
    return ask.act(lambda client: client.dry_run(ask.read(SubmissionRequest)))


def _read_query(
    owner: Text = None,
    state: Annotated[Sequence[JobState], Query(description="one of these")] = (),
    project: Text = None,
    tag: Annotated[Sequence[str], Query(description="all of these")] = (),
    network: Text = None,
    dataset: Text = None,
    since: Annotated[AwareDatetime | None, Query(description="submitted then or later")] = None,
    ended_since: Annotated[AwareDatetime | None, Query(description="ended then or later")] = None,
    text: Annotated[str, Query(description="a part of its name or note, in any case")] = "",
    like: Annotated[int | None, Query(description="made like this job")] = None,
) -> JobQuery:
    return JobQuery(
        owner=owner,
        state=state,
        project=project,
        tag=tag,
        network=network,
        dataset=dataset,
        since=since,
        ended_since=ended_since,
        text=text,
        like=like,
    )


Asking = Annotated[JobQuery, Depends(_read_query)]


@get(router, "/jobs", JobPage)
def list_jobs(
    ask: Asked,
    query: Asking,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 50,
    before: Annotated[int | None, Query(ge=1, description="`next` of the page before")] = None,
    sort: Annotated[JobSort, Query(description="in which order")] = "newest",
) -> Response:
    """Jobs, page by page."""
    return ask.look(lambda client: client.list_jobs(query, limit=limit, before=before, sort=sort))


@get(router, "/job-counts", JobCounts)
def count_jobs(ask: Asked, query: Asking) -> Response:
    """How many jobs there are, by state."""
    return ask.look(lambda client: client.count_jobs(query))


@get(router, "/jobs/{job}/diff/{other}", JobDiffView)
def diff(ask: Asked, job: Job, other: Job) -> Response:
    """In what two jobs differ."""
    return ask.look(lambda client: client.diff(job, other))


@get(router, "/comparison", ComparisonView)
def compare(
    ask: Asked,
    job: Annotated[Sequence[int], Query(description="2 to 100 jobs", min_length=2, max_length=100)],
) -> Response:
    """In what several jobs differ."""
    return ask.look(lambda client: client.compare(job))


@act(router, "PATCH", "/jobs/{job}/labels", LabelsView, body=LabelRequest)
def change_labels(ask: Asked, job: Job) -> Response:
    """Change name, note and tags of a job."""
    return ask.act(lambda client: client.change_labels(job, ask.read(LabelRequest)))


@get(router, "/jobs/{job}", JobView)
def get_job(ask: Asked, job: Job) -> Response:
    """Everything about one job."""
    return ask.look(lambda client: client.get_job(job))


@get(router, "/jobs/{job}/result", JobResult)
def get_result(ask: Asked, job: Job) -> Response:
    """What came of a job."""
    return ask.look(lambda client: client.get_result(job))


@get(router, "/jobs/{job}/progress", ProgressView)
def get_progress(ask: Asked, job: Job) -> Response:
    """How a job comes along."""
    return ask.look(lambda client: client.get_progress(job))


@get(router, "/jobs/{job}/history", Sequence[AuditEntryView])
def list_history(ask: Asked, job: Job) -> Response:
    """What happened to a job, the oldest entry first."""
    return ask.look(lambda client: client.list_history(job))


@get(router, "/jobs/{job}/metrics", MetricsView)
def get_metrics(
    ask: Asked,
    job: Job,
    after: Annotated[int | None, Query(ge=0, le=2**62, description="only points of later steps")] = None,
) -> Response:
    """A job's curves."""
    return ask.look(lambda client: client.get_metrics(job, after=after))


@get(router, "/jobs/{job}/log", LogView)
def read_log(
    ask: Asked,
    job: Job,
    attempt: Annotated[int, Query(ge=0, description="the attempt that was read last")] = 0,
    start: Annotated[int, Query(ge=0, description="the byte to go on from")] = 0,
    tail: Annotated[bool, Query(description="only the last lines, whatever the start")] = False,
) -> Response:
    """A part of what a job's newest attempt has written."""
    return ask.look(lambda client: client.read_log(job, attempt=attempt, start=start, tail=tail))


@get(router, "/jobs/{job}/spec", SpecView)
def explain_spec(ask: Asked, job: Job) -> Response:
    """A job's spec beside its defaults."""
    return ask.look(lambda client: client.explain_spec(job))


@get(router, "/jobs/{job}/files", Sequence[JobFile])
def list_files(ask: Asked, job: Job) -> Response:
    """The files of a job that can be downloaded."""
    return ask.look(lambda client: client.list_files(job))


@raw(router, "/jobs/{job}/files/{name}", "application/octet-stream", statuses=(200, 206, 416))
def download(ask: Asked, job: Job, name: str) -> Response:
    """A file of a job, or the ranges of it that are asked for."""
    ask.get_actor()
    return FileAnswer(files.open_file(ask.service.store, ask.service.settings, JobId(job), name), name=name)


@act(router, "POST", "/jobs/{job}/cancel", JobStateView)
def cancel(ask: Asked, job: Job) -> Response:
    """Stop a job for good; a running one writes a checkpoint first."""
    return ask.act(lambda client: client.cancel(job))


@act(router, "POST", "/jobs/{job}/pause", JobStateView)
def pause(ask: Asked, job: Job) -> Response:
    """Let a job rest until it is resumed."""
    return ask.act(lambda client: client.pause(job))


@act(router, "POST", "/jobs/{job}/hold", JobStateView)
def hold(ask: Asked, job: Job) -> Response:
    """Keep a queued job from starting until it is resumed."""
    return ask.act(lambda client: client.hold(job))


@act(router, "POST", "/jobs/{job}/resume", JobStateView, body=ResumeRequest)
def resume(ask: Asked, job: Job) -> Response:
    """Let a paused job go on from its newest valid checkpoint, or from the start."""
    return ask.act(lambda client: client.resume(job, from_start=ask.read(ResumeRequest).from_start))


@act(router, "POST", "/jobs/{job}/retry", JobStateView)
def retry(ask: Asked, job: Job) -> Response:
    """Queue a failed or cancelled job again."""
    return ask.act(lambda client: client.retry(job))


@act(router, "POST", "/jobs/{job}/priority", JobStateView, body=PriorityRequest)
def set_priority(ask: Asked, job: Job) -> Response:
    """Change how urgent a job is."""
    return ask.act(lambda client: client.set_priority(job, ask.read(PriorityRequest).priority))
