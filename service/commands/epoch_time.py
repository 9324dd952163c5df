"""Expects of a job what jobs like it took."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from service.domain.spec import Spec
from service.store.past_epochs import PastRun, list_past_runs
from service.store.transaction import Transaction

# Fields that leave a job's pace as it is: with these aside, equal specs are the same work.
_NO_MATTER = {"training": ("seed", "epochs", "early_stopping"), "optimizer": ("lr",)}
_SECTIONS_NO_MATTER = ("schedule", "checkpoint", "resources")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochTime:
    """How fast jobs like one went, on which GPUs; `same_spec` where they differ in nothing that matters.

    Both figures are medians over their epochs, of training alone: validation and checkpoints come on top.
    """

    images_per_second: float
    epoch_seconds: float
    jobs: int
    gpu_model: str
    same_spec: bool


def find_epoch_time(tx: Transaction, spec: Spec, *, models: Collection[str]) -> EpochTime | None:
    """What to expect of a job on GPUs of these models; None where no like job has completed an epoch.

    Like is who has the same network, dataset, batch size, GPUs and image size. GPUs of these models and the
    same spec go before others; among those left, the newest job's model decides.
    """
    dataset, gpus = spec.data.dataset, spec.resources.gpus
    runs = list_past_runs(tx, architecture=spec.model.architecture, dataset=dataset, gpus_held=gpus)
    like = [run for run in runs if _key(json.loads(run.spec)) == _key(spec.model_dump(mode="json"))]
    if not like:
        return None
    own = _work(spec.model_dump(mode="json"))

    def nearness(run: PastRun) -> tuple[bool, bool]:
        return run.gpu_model in models, _work(json.loads(run.spec)) == own

    nearest = max(map(nearness, like))
    chosen = [run for run in like if nearness(run) == nearest]
    chosen = [run for run in chosen if run.gpu_model == chosen[0].gpu_model]
    return _sum_up(chosen, spec, same_spec=nearest[1])


def _sum_up(runs: Sequence[PastRun], spec: Spec, *, same_spec: bool) -> EpochTime:
    batch = spec.training.batch_size
    return EpochTime(
        images_per_second=median(rate for run in runs for rate in run.rates),
        epoch_seconds=median(run.steps_per_epoch * batch / rate for run in runs for rate in run.rates),
        jobs=len({run.job_id for run in runs}),
        gpu_model=runs[0].gpu_model,
        same_spec=same_spec,
    )


def _key(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    data = spec["data"]
    return spec["training"]["batch_size"], data["image_size"], data["resize"]


def _work(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        section: {name: value for name, value in fields.items() if name not in _NO_MATTER.get(section, ())}
        for section, fields in spec.items()
        if section not in _SECTIONS_NO_MATTER and isinstance(fields, dict)
    }
