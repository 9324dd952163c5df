"""Predicts the memory that a job needs on each GPU, and refuses a job that fits on none."""

import math
from dataclasses import asdict, dataclass
from enum import Enum

from models.catalog.costs import count_layers
from models.catalog.training_memory import TrainingMemory, count_slots, largest_batch, predict_memory
from service.commands.fleet.eligible_gpus import capacity_mib, find_limit, list_eligible_gpus
from service.commands.jobs.dataset_size import DatasetSize
from service.domain.bounds import MEMORY_MIB
from service.domain.gpus import Gpu
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec import Spec
from service.errors import SpecError
from service.store.people import users
from service.store.transaction import Transaction

MIB = 1024 * 1024
# What a process takes of a GPU before its first tensor: CUDA's context, the code of cuDNN and cuBLAS, their
# handles. An assumption: it grows with the GPU and the driver, from about 300 to 600 MiB.
CONTEXT_BYTES = 600 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMemory:
    """Bytes that a job needs on each of its GPUs; `images` is the dataset, if all of it is kept there."""

    step: TrainingMemory
    images: int
    context: int

    @property
    def parts(self) -> dict[str, int]:
        """Bytes by purpose."""
        return {**asdict(self.step), "images": self.images, "context": self.context}

    @property
    def total(self) -> int:
        return sum(self.parts.values())


class Fit(str, Enum):
    """Whether a GPU has the memory for a job; `perhaps`: all but the allowance for workspace and context."""

    SURELY = "surely"
    PERHAPS = "perhaps"
    NOT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The expected memory of a job; each GPU must have `least_mib`, and `ample_mib` is surely enough."""

    size: DatasetSize
    expected: JobMemory
    least_mib: int
    ample_mib: int

    def fit(self, gpu: Gpu) -> Fit:
        if self.least_mib > capacity_mib(gpu):
            return Fit.NOT
        return Fit.SURELY if self.ample_mib <= capacity_mib(gpu) else Fit.PERHAPS


def predict_needs(spec: Spec, size: DatasetSize, *, gpus: int | None = None) -> Needs:
    """Predict a job's memory on each GPU, or what it would be on another number of `gpus`."""
    replicas = gpus or spec.resources.gpus
    share = spec.training.batch_size // replicas
    expected = predict_job_memory(spec, size, gpus=replicas, share=share)
    sure = predict_job_memory(spec, size.least, gpus=replicas, share=share) if size.least else expected
    # Workspace and context are allowances: how much they take is known only when the job runs.
    least = sure.total - sure.step.workspace - sure.context
    return Needs(
        size=size,
        expected=expected,
        least_mib=math.ceil(least / MIB),
        ample_mib=math.ceil(expected.total / MIB),
    )


def predict_job_memory(spec: Spec, size: DatasetSize, *, gpus: int, share: int) -> JobMemory:
    """Predict the memory on each GPU, which takes an equal share of the images of each batch."""
    side = spec.data.image_size
    layers = count_layers(spec.model, input_shape=(side, side, size.channels), num_classes=size.num_classes)
    step = predict_memory(
        layers,
        batch_size=share,
        optimizer_slots=count_slots(spec.optimizer.name, momentum=spec.optimizer.momentum),
        replicas=gpus,
        precision=spec.training.precision,
    )
    return JobMemory(step=step, images=size.resident_bytes, context=CONTEXT_BYTES)


def check_memory(
    tx: Transaction, spec: Spec, needs: Needs, *, owner: str, scheduling: SchedulingOptions
) -> None:
    """Refuse a job that surely needs more memory than any GPUs have that it may run on.

    Raises:
        SpecError: it names the largest batch size that surely fits, and the number of GPUs for this one.
    """
    MEMORY_MIB.check("The memory that this takes of a GPU, in MiB,", needs.ample_mib)
    gpus = spec.resources.gpus
    limit = find_limit(list_eligible_gpus(tx, scheduling, gpus=gpus), gpus=gpus, hosts=scheduling.hosts)
    if limit is None or needs.fit(limit) is not Fit.NOT:
        return
    more = _find_more_gpus(tx, spec, needs.size, scheduling, most=users.get_user(tx, owner).max_gpus)
    raise SpecError(
        f"training.batch_size: {spec.training.batch_size} images of {spec.model.architecture} need at least "
        f"{needs.least_mib:,} MiB on {'one GPU' if gpus == 1 else f'each of {gpus} GPUs'}, and the largest, "
        f"{limit.model} on {limit.host_name}, has {limit.memory_mib:,}. "
        f"{_offer_batch(spec, needs.size, limit)}." + (f" Or: --gpus {more}" if more else "")
    )


def _offer_batch(spec: Spec, size: DatasetSize, limit: Gpu) -> str:
    gpus = spec.resources.gpus
    none, one = (predict_job_memory(spec, size, gpus=gpus, share=share).total for share in (0, 1))
    batch = gpus * largest_batch(none=none, one=one, capacity=limit.memory_mib * MIB)
    return f"Largest batch size that surely fits: {batch}" if batch else "No batch size surely fits there"


def _find_more_gpus(
    tx: Transaction, spec: Spec, size: DatasetSize, scheduling: SchedulingOptions, *, most: int | None
) -> int | None:
    """The smallest number of GPUs, above the requested one, on which the batch would surely fit."""
    devices = list_eligible_gpus(tx, scheduling, gpus=2)
    batch = spec.training.batch_size
    most = min(len(devices), batch, most or len(devices))
    for gpus in range(spec.resources.gpus + scheduling.hosts, most + 1, scheduling.hosts):
        limit = find_limit(devices, gpus=gpus, hosts=scheduling.hosts)
        if batch % gpus == 0 and limit and predict_needs(spec, size, gpus=gpus).fit(limit) is Fit.SURELY:
            return gpus
    return None
