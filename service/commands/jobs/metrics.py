"""The metric series of a job."""

from collections.abc import Mapping

from service.domain.jobs import JobId
from service.store.jobs import jobs, metrics
from service.store.transaction import Store

Series = Mapping[str, list[tuple[int, float | None]]]


def get_series(store: Store, job_id: JobId) -> Series:
    """Every metric of a job as (step, value) pairs in the order of steps.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        jobs.get_job(tx, job_id)
        return metrics.list_series(tx, job_id)
