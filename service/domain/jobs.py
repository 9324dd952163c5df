"""Jobs and attempts as the rest of the service sees them."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from service.domain.scheduling_options import SchedulingOptions
from service.domain.states import AttemptState, Cause, JobState, Outcome, StopRequest

JobId = NewType("JobId", int)
AttemptId = NewType("AttemptId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One spec that somebody asked for; `spec` is its canonical JSON, `scheduling` says how to run it.

    `time_limit_seconds` is the spec's, over all attempts; `preemptions` counts how often it gave way.
    `estimated_start_at` is an estimate while it waits for GPUs, else None. `memory_mib` is what each of its
    GPUs must have for sure, `ample_memory_mib` what is surely enough; None: not predicted.
    `like_job_id` is the job whose spec its own was made of.
    """

    id: JobId
    owner: str
    name: str
    like_job_id: JobId | None
    state: JobState
    spec: str
    architecture: str
    dataset: str
    gpus: int
    memory_mib: int | None
    ample_memory_mib: int | None
    time_limit_seconds: float | None
    scheduling: SchedulingOptions
    reason: str
    estimated_start_at: datetime | None
    lost_attempts: int
    preemptions: int
    submitted_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a job waits, in words; `estimated_start_at` is None without an estimate."""

    job_id: JobId
    reason: str
    estimated_start_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a trainer has come, as it last said; `step` counts from the start of the job."""

    epoch: int
    epochs: int
    step: int
    steps_per_epoch: int
    images_per_second: float
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a job on one allocation.

    `token` fences writers: it grows with each claim, and a write that carries an older one changes nothing.
    """

    id: AttemptId
    job_id: JobId
    number: int
    host_name: str
    state: AttemptState
    outcome: Outcome | None
    cause: Cause | None
    reason: str
    stop_request: StopRequest | None
    stop_reason: str
    token: int
    run_dir: str
    trainer_pid: int | None
    trainer_started: int | None
    start_step: int | None
    events_offset: int
    progress: Progress | None
    epochs_completed: int
    weights_digest: str | None
    model_path: str | None
    created_at: datetime
    sent_at: datetime
    heartbeat_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One host's share of an attempt over several hosts; the chief has rank 0.

    It has ended once its processes are proven gone, as `outcome` says; `worker` supervises it.
    """

    attempt_id: AttemptId
    rank: int
    host_name: str
    address: str | None
    worker: str | None
    trainer_pid: int | None
    trainer_started: int | None
    outcome: Outcome | None
    cause: Cause | None
    reason: str
    sent_at: datetime
    heartbeat_at: datetime | None
    ended_at: datetime | None
