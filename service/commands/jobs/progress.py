"""The progress of a job, for a person who follows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.jobs import JobId, Progress
from service.domain.states import JobState
from service.store.jobs import attempts, jobs, metrics
from service.store.transaction import Store

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """A job at one moment."""

    state: JobState
    reason: str
    """Why it is in this state."""
    architecture: str
    dataset: str
    gpus: int
    host: str
    """Where its attempt runs; empty while none does. Of a job over several hosts, the first."""
    stage: str
    """What its attempt does before the first step, such as reading images."""
    progress: Progress | None
    """What its trainer reported last."""
    epochs: Mapping[str, Mapping[int, float | None]]
    """Of each of `EPOCH_METRICS` that there is, its values by step; None where one was not finite."""


def get_progress(store: Store, job_id: JobId) -> JobProgress:
    """Read the progress of a job.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
        attempt = attempts.find_live_attempt(tx, job_id)
        series = metrics.list_series(tx, job_id, names=EPOCH_METRICS)
    return JobProgress(
        state=job.state,
        reason=job.reason,
        architecture=job.architecture,
        dataset=job.dataset,
        gpus=job.gpus,
        host=attempt.host_name if attempt else "",
        stage=attempt.reason if attempt else "",
        progress=attempt.progress if attempt else None,
        epochs={name: dict(points) for name, points in series.items()},
    )
