"""Reads what a study keeps of a job that has ended."""

import re

from models.catalog.costs import count_layers
from models.catalog.lookup import DATASETS
from service.domain.jobs import Attempt, Job
from service.domain.spec import Spec, read_spec
from service.domain.states import Cause, JobState
from service.domain.studies.measures import CURVES, RunNumbers
from service.store.fleet import leases
from service.store.jobs import attempts, metrics
from service.store.transaction import Transaction

COLOURS = 3
CLASSES = 10  # of a dataset that is not in the catalog: they matter for the last layer only
MOST_EPOCHS_KEPT = 1000


def read_numbers(tx: Transaction, job: Job) -> RunNumbers | None:
    """The numbers of a job that has trained its network, or whose training diverged; else None."""
    last = attempts.list_latest_attempts(tx, [job.id])
    attempt = last[0] if last else None
    diverged = job.state is JobState.FAILED and attempt is not None and attempt.cause is Cause.NAN_LOSS
    if job.state is not JobState.SUCCEEDED and not diverged:
        return None
    spec = read_spec(job.spec)
    series = metrics.list_series(tx, job.id, names=CURVES)
    return RunNumbers(
        last={name: _round(value) for name, value in metrics.last_values(tx, job.id).items()},
        curves={
            name: [_round(value) for _, value in points[:MOST_EPOCHS_KEPT]] for name, points in series.items()
        },
        epochs=spec.training.epochs,
        parameters=_count_parameters(spec),
        diverged=diverged,
        weights_digest=(attempt.weights_digest if attempt else None) or "",
        environment=_describe(tx, attempt) if attempt else "",
    )


def _round(value: float | None) -> float | None:
    """With the digits that single precision has."""
    return None if value is None else float(f"{value:.7g}")


def _count_parameters(spec: Spec) -> int:
    known = DATASETS.get(spec.data.dataset)
    channels, classes = (known.image_shape[2], known.num_classes) if known else (COLOURS, CLASSES)
    side = spec.data.image_size
    layers = count_layers(spec.model, input_shape=(side, side, channels), num_classes=classes)
    return sum(layer.trained for layer in layers)


def _describe(tx: Transaction, attempt: Attempt) -> str:
    models = sorted(gpu.model for gpu in leases.list_leased_gpus(tx, attempt.id))
    return ", ".join(models)


def find_reason(job: Job) -> str:
    """Why a job has no numbers, without what is peculiar to it, so that equal failures look equal."""
    return re.sub(r"\d+", "#", f"{job.state.value}: {job.reason}")
