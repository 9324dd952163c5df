"""How fast earlier jobs went: what a prediction of a new one's time is made from."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from service.db.tables import attempts, gpus, jobs, leases, metrics
from service.domain.jobs import AttemptId, JobId
from service.store.transaction import Transaction

RATE = "images_per_second"
NEWEST = 200  # attempts that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """An attempt that completed an epoch: the job's spec as JSON, and images a second of each epoch."""

    job_id: JobId
    spec: str
    gpu_model: str
    steps_per_epoch: int
    rates: tuple[float, ...]


def list_past_runs(tx: Transaction, *, architecture: str, dataset: str, gpus_held: int) -> Sequence[PastRun]:
    """Attempts of jobs on so many GPUs that completed an epoch, newest first."""
    what = (attempts.c.id, attempts.c.job_id, attempts.c.progress, jobs.c.spec)
    statement = (
        select(*what, func.min(gpus.c.model).label("model"))
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .join(leases, leases.c.attempt_id == attempts.c.id)
        .join(gpus, gpus.c.uuid == leases.c.gpu_uuid)
        .where(jobs.c.architecture == architecture, jobs.c.dataset == dataset, jobs.c.gpus == gpus_held)
        .where(attempts.c.epochs_completed > 0, attempts.c.progress.is_not(None))
        .group_by(*what)
        .order_by(attempts.c.id.desc())
        .limit(NEWEST)
    )
    found = tx.connection.execute(statement).all()
    rates = _read_rates(tx, [AttemptId(row.id) for row in found])
    return [
        PastRun(
            job_id=row.job_id,
            spec=row.spec,
            gpu_model=row.model,
            steps_per_epoch=json.loads(row.progress)["steps_per_epoch"],
            rates=tuple(rates[row.id]),
        )
        for row in found
        if row.id in rates
    ]


def _read_rates(tx: Transaction, attempt_ids: Sequence[AttemptId]) -> Mapping[int, Sequence[float]]:
    statement = select(metrics.c.attempt_id, metrics.c.value).where(
        metrics.c.attempt_id.in_(attempt_ids), metrics.c.name == RATE, metrics.c.value > 0.0
    )
    rates: dict[int, list[float]] = defaultdict(list)
    for attempt_id, rate in tx.connection.execute(statement):
        rates[attempt_id].append(rate)
    return rates
