"""The metric series of a job."""

from cnnctl.views.jobs import MetricsView
from service.domain.jobs import JobId
from service.store.jobs import jobs, metrics
from service.store.transaction import Store


def get_metrics_view(store: Store, job_id: JobId, *, after: int | None = None) -> MetricsView:
    """Every metric of a job as (step, value) pairs in the order of steps, perhaps only `after` one.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        jobs.get_job(tx, job_id)
        return MetricsView(series=metrics.list_series(tx, job_id, after=after))
