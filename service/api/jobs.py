"""The routes of jobs."""

import os
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from cnnctl.views.dry_run import DryRunView
from cnnctl.views.jobs import (
    AuditEntryView,
    JobFile,
    JobResult,
    JobStateView,
    JobSummary,
    JobView,
    LogView,
    MetricsView,
    ProgressView,
    SubmissionView,
)
from cnnctl.views.requests import PriorityRequest, ResumeRequest, SubmissionRequest
from service.api.ask import Asked
from service.api.declare import act, get
from service.commands.jobs import files
from service.domain.jobs import JobId

router = APIRouter(tags=["jobs"])
MOST_JOBS = 1000  # of one answer
Job = Annotated[int, Path(description="the job's number")]


@act(router, "POST", "/jobs", SubmissionView, body=SubmissionRequest, status=201)
def submit(ask: Asked) -> Response:
    """Queue a job."""
    return ask.act(lambda client: client.submit(ask.read(SubmissionRequest)), status=201)


@act(router, "POST", "/dry-runs", DryRunView, body=SubmissionRequest)
def dry_run(ask: Asked) -> Response:
    """Say what a submission would come to; queue nothing."""
    return ask.act(lambda client: client.dry_run(ask.read(SubmissionRequest)))


@get(router, "/jobs", Sequence[JobSummary])
def list_jobs(ask: Asked, limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 50) -> Response:
    """Jobs, the newest first."""
    return ask.look(lambda client: client.list_jobs(limit=limit))


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
def get_metrics(ask: Asked, job: Job) -> Response:
    """A job's curves."""
    return ask.look(lambda client: client.get_metrics(job))


@get(router, "/jobs/{job}/log", LogView)
def read_log(
    ask: Asked,
    job: Job,
    attempt: Annotated[int, Query(ge=0, description="the attempt that was read last")] = 0,
    start: Annotated[int, Query(ge=0, description="the byte to go on from")] = 0,
) -> Response:
    """A part of what a job's newest attempt has written."""
    return ask.look(lambda client: client.read_log(job, attempt=attempt, start=start))


@get(router, "/jobs/{job}/files", Sequence[JobFile])
def list_files(ask: Asked, job: Job) -> Response:
    """The files of a job that can be downloaded."""
    return ask.look(lambda client: client.list_files(job))


@router.get("/jobs/{job}/files/{name}", response_class=FileResponse)
def download(ask: Asked, job: Job, name: str) -> Response:
    """A file of a job, or the ranges of it that are asked for."""
    ask.get_actor()
    file = files.open_file(ask.service.store, ask.service.settings, JobId(job), name)
    # By the descriptor, so that it is the file that was checked, whatever its name means by now.
    return FileResponse(
        f"/proc/self/fd/{file.fileno()}",
        media_type="application/octet-stream",
        filename=name,
        stat_result=os.fstat(file.fileno()),
        background=BackgroundTask(file.close),
    )


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
