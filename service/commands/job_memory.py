"""Predicts what a job needs of each GPU, and refuses one that none could hold."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from models.costing import count_layers
from models.training_memory import TrainingMemory, count_slots, largest_batch, predict_memory
from service.commands.dataset_size import DatasetSize
from service.domain.gpus import Gpu, is_model
from service.domain.spec import Spec
from service.domain.terms import Terms
from service.errors import SpecError
from service.store import hosts, users
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
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def least(self) -> int:
        """What is needed for sure: without what is only allowed for."""
        return self.total - self.step.workspace - self.context


def predict_job_memory(
    spec: Spec, size: DatasetSize, *, gpus: int | None = None, share: int | None = None
) -> JobMemory:
    """Predict a job's memory on each GPU, or what it would be on other `gpus` or for a `share` of images."""
    replicas = gpus or spec.resources.gpus
    side = spec.data.image_size
    layers = count_layers(
        spec.model.to_choice(), input_shape=(side, side, size.channels), num_classes=size.num_classes
    )
    step = predict_memory(
        layers,
        batch_size=spec.training.batch_size // replicas if share is None else share,
        optimizer_slots=count_slots(spec.optimizer.name, momentum=spec.optimizer.momentum),
        replicas=replicas,
        precision=spec.training.precision,
    )
    return JobMemory(step=step, images=size.resident_bytes, context=CONTEXT_BYTES)


def check_memory(tx: Transaction, spec: Spec, size: DatasetSize, *, owner: str, terms: Terms) -> None:
    """Refuse a job whose share of a batch is surely too large for every GPU that it may run on.

    Raises:
        SpecError: with the largest batch size that fits, and with how many GPUs this one would.
    """
    devices = list_right_gpus(tx, terms)
    gpus = spec.resources.gpus
    best = find_roomiest(devices, gpus=gpus // terms.hosts)
    if best is None:
        return
    needed = predict_job_memory(spec, size).least
    if needed <= best.memory_mib * MIB:
        return
    fixed, one = (predict_job_memory(spec, size, share=share).total for share in (0, 1))
    batch = gpus * largest_batch((fixed, one), capacity=best.memory_mib * MIB)
    fits = f"Largest batch size that fits: {batch}" if batch else "Not even one image a GPU would fit"
    more = _find_more_gpus(devices, spec, size, most=users.get_user(tx, owner).max_gpus)
    each = "one GPU" if gpus == 1 else f"each of {gpus} GPUs"
    raise SpecError(
        f"training.batch_size: {spec.training.batch_size} images of {spec.model.architecture} need at least "
        f"{math.ceil(needed / MIB):,} MiB on {each}, and the largest, {best.model} on "
        f"{best.host_name}, has {best.memory_mib:,}. {fits}." + (f" Or: --gpus {more}" if more else "")
    )


def list_right_gpus(tx: Transaction, terms: Terms) -> Sequence[Gpu]:
    """The GPUs that a job may run on, free or not."""
    return [
        gpu
        for gpu in hosts.list_gpus(tx)
        if terms.host_name in (None, gpu.host_name) and is_model(gpu.model, terms.gpu_model or "")
    ]


def find_roomiest(devices: Sequence[Gpu], *, gpus: int) -> Gpu | None:
    """The smallest GPU of the roomiest set of so many on one host; None where its memory limits nothing.

    Simulated GPUs share the host's memory and count as endless, as do those that do not say.
    """
    found = [least for least in _smallest_of_each_host(devices, gpus) if least is not None]
    best = max(found, key=_room, default=None)
    return None if best is None or math.isinf(_room(best)) else best


def _smallest_of_each_host(devices: Sequence[Gpu], gpus: int) -> Iterator[Gpu | None]:
    by_host = defaultdict(list)
    for gpu in devices:
        by_host[gpu.host_name].append(gpu)
    for own in by_host.values():
        own.sort(key=_room, reverse=True)
        yield own[gpus - 1] if len(own) >= gpus else None


def _room(gpu: Gpu) -> float:
    return math.inf if gpu.simulated or not gpu.memory_mib else gpu.memory_mib


def _find_more_gpus(devices: Sequence[Gpu], spec: Spec, size: DatasetSize, *, most: int | None) -> int | None:
    """The fewest GPUs, more than were asked for, among which the batch would fit."""
    batch = spec.training.batch_size
    for gpus in range(spec.resources.gpus + 1, min(len(devices), most or len(devices), batch) + 1):
        if batch % gpus or not any(_smallest_of_each_host(devices, gpus)):
            continue
        best = find_roomiest(devices, gpus=gpus)
        if best is None or predict_job_memory(spec, size, gpus=gpus).total <= best.memory_mib * MIB:
            return gpus
    return None
