"""Predicts what a job needs of each GPU, and refuses one that none could hold."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from models.costing import count_layers
from models.training_memory import TrainingMemory, count_slots, largest_batch, predict_memory
from service.commands.dataset_size import DatasetSize, measure_dataset
from service.commands.right_gpus import find_limit, list_right_gpus, room_mib
from service.domain.gpus import Gpu
from service.domain.spec import Spec
from service.domain.terms import Terms
from service.errors import SpecError
from service.store import users
from service.store.transaction import Transaction

MIB = 1024 * 1024
# What a process takes of a GPU before its first tensor: CUDA's context, the code of cuDNN and cuBLAS, their
# handles. An assumption: it grows with the GPU and the driver, from about 300 to 600 MiB.
CONTEXT_BYTES = 600 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMemory:
    """Bytes that a job needs of each of its GPUs; `images` is the dataset, which lies there whole."""

    step: TrainingMemory
    images: int
    context: int

    @property
    def parts(self) -> dict[str, int]:
        """Bytes by what they are for."""
        return {**asdict(self.step), "images": self.images, "context": self.context}

    @property
    def total_mib(self) -> float:
        return sum(self.parts.values()) / MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What is expected of a job's memory, and how many MiB each GPU must have for sure."""

    expected: JobMemory
    least_mib: int

    def fit(self, gpu: Gpu) -> str:
        """Whether a GPU has the memory: `surely`, `perhaps` or `not`."""
        if self.least_mib > room_mib(gpu):
            return "not"
        return "surely" if self.expected.total_mib <= room_mib(gpu) else "perhaps"


def predict_needs(spec: Spec, *, gpus: int | None = None) -> Needs:
    """Predict a job's memory on each GPU, or what it would be on another number of `gpus`."""
    size = measure_dataset(spec.data)
    replicas = gpus or spec.resources.gpus
    share = spec.training.batch_size // replicas
    sure = predict_job_memory(spec, size.least or size, gpus=replicas, share=share)
    # Workspace and context are only allowed for: nobody knows before how much they will take.
    least = sum(sure.parts.values()) - sure.step.workspace - sure.context
    return Needs(
        expected=predict_job_memory(spec, size, gpus=replicas, share=share),
        least_mib=math.ceil(least / MIB),
    )


def predict_job_memory(spec: Spec, size: DatasetSize, *, gpus: int, share: int) -> JobMemory:
    """Predict the memory on each of so many GPUs, for a share of so many images of each batch."""
    side = spec.data.image_size
    layers = count_layers(
        spec.model.to_choice(), input_shape=(side, side, size.channels), num_classes=size.num_classes
    )
    step = predict_memory(
        layers,
        batch_size=share,
        optimizer_slots=count_slots(spec.optimizer.name, momentum=spec.optimizer.momentum),
        replicas=gpus,
        precision=spec.training.precision,
    )
    return JobMemory(step=step, images=size.resident_bytes, context=CONTEXT_BYTES)


def check_memory(tx: Transaction, spec: Spec, needs: Needs, *, owner: str, terms: Terms) -> int:
    """Refuse a job that surely needs more memory than any set of GPUs has that it may run on.

    Returns how many MiB a GPU must have for the job to be put there: what surely is enough where some have
    it, else what is needed for sure.

    Raises:
        SpecError: with the largest batch size that surely fits, and with how many GPUs this one would.
    """
    gpus = spec.resources.gpus
    limit = find_limit(list_right_gpus(tx, terms, gpus=gpus), gpus=gpus, hosts=terms.hosts)
    fit = needs.fit(limit) if limit else "perhaps"
    if limit is None or fit != "not":
        return math.ceil(needs.expected.total_mib) if fit == "surely" else needs.least_mib
    more = _find_more_gpus(tx, spec, terms, most=users.get_user(tx, owner).max_gpus)
    raise SpecError(
        f"training.batch_size: {spec.training.batch_size} images of {spec.model.architecture} need at least "
        f"{needs.least_mib:,} MiB on {'one GPU' if gpus == 1 else f'each of {gpus} GPUs'}, and the largest, "
        f"{limit.model} on {limit.host_name}, has {limit.memory_mib:,}. {_offer_batch(spec, limit)}."
        + (f" Or: --gpus {more}" if more else "")
    )


def _offer_batch(spec: Spec, limit: Gpu) -> str:
    size, gpus = measure_dataset(spec.data), spec.resources.gpus
    none, one = (
        round(predict_job_memory(spec, size, gpus=gpus, share=share).total_mib * MIB) for share in (0, 1)
    )
    batch = gpus * largest_batch(none=none, one=one, capacity=limit.memory_mib * MIB)
    return f"Largest batch size that surely fits: {batch}" if batch else "No batch size surely fits there"


def _find_more_gpus(tx: Transaction, spec: Spec, terms: Terms, *, most: int | None) -> int | None:
    """The fewest GPUs, more than were asked for, among which the batch would surely fit."""
    devices: Sequence[Gpu] = list_right_gpus(tx, terms, gpus=2)
    batch = spec.training.batch_size
    most = min(len(devices), batch, most or len(devices))
    for gpus in range(spec.resources.gpus + terms.hosts, most + 1, terms.hosts):
        limit = find_limit(devices, gpus=gpus, hosts=terms.hosts)
        if batch % gpus == 0 and limit and predict_needs(spec, gpus=gpus).fit(limit) == "surely":
            return gpus
    return None
