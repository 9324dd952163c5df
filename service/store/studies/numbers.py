"""Reads what a study keeps of a job that has ended."""

import re
from collections.abc import Mapping
from typing import Any

from models.catalog.costs import count_layers
from models.catalog.lookup import DATASETS
from service.domain.jobs import Job
from service.domain.spec import Spec, read_spec
from service.domain.states import Cause, JobState
from service.domain.studies.measures import CURVES, MOST_EPOCHS, RunNumbers
from service.store.jobs import attempts, metrics
from service.store.transaction import Transaction

PACKAGES = ("tensorflow", "keras", "numpy", "cnnctl")
COLOURS = 3
CLASSES = 10  # of a dataset that is not in the catalog: they matter for the last layer only


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
            name: [_round(value) for _, value in series[name][:MOST_EPOCHS]]
            for name in CURVES
            if name in series
        },
        epochs=spec.training.epochs,
        parameters=_count_parameters(spec),
        diverged=diverged,
        weights_digest=(attempt.weights_digest if attempt else None) or "",
        environment=describe_environment(attempts.find_environment(tx, attempt.id)) if attempt else "",
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


def describe_environment(environment: Mapping[str, Any]) -> str:
    """In words what may differ between two trainings of one spec; empty if nothing is known."""
    if not environment:
        return ""
    packages = ", ".join(f"{name} {environment.get(name, '?')}" for name in PACKAGES)
    device = f"{environment.get('device', '?')} ({environment.get('devices', '?')})"
    return f"{device}, {environment.get('threads', '?')} threads; {packages}"[:500]


def find_reason(job: Job) -> str:
    """Why a job has no numbers, without what is peculiar to it, so that equal failures look equal."""
    return re.sub(r"\d+", "#", f"{job.state.value}: {job.reason}")
