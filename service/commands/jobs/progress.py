"""The progress of a job, for a person who follows it."""

from dataclasses import asdict

from cnnctl.views.jobs import ProgressView, TrainerProgress
from service.domain.jobs import JobId
from service.domain.states import FINISHED
from service.store.jobs import attempts, jobs, metrics
from service.store.transaction import Store

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def get_progress_view(store: Store, job_id: JobId) -> ProgressView:
    """A job at this moment.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
        attempt = attempts.find_live_attempt(tx, job_id)
        series = metrics.list_series(tx, job_id, names=EPOCH_METRICS)
    progress = attempt.progress if attempt else None
    return ProgressView(
        job=job.id,
        state=job.state.value,
        finished=job.state in FINISHED,
        reason=job.reason,
        architecture=job.architecture,
        dataset=job.dataset,
        gpus=job.gpus,
        host=attempt.host_name if attempt else "",
        stage=attempt.reason if attempt else "",
        progress=TrainerProgress(**asdict(progress)) if progress else None,
        epochs=series,
    )
