"""The result of a dry run: what a submission would come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateHost:
    """A host with as many such GPUs as were asked for."""

    host: Annotated[str, "its name"]
    fits: Annotated[
        str,
        "whether these have the memory: `surely`, `perhaps`, where only workspace and context could be too "
        "much, or `not`",
    ]
    up: Annotated[bool, "whether its worker is alive"]
    models: Annotated[Sequence[str], "what its GPUs call themselves"]
    gpus: Annotated[int, "such GPUs that are not out of use"]
    free: Annotated[Sequence[str], "UUIDs of those that the job could start on now"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryParts:
    """Memory of each GPU in MiB, by what it is for; see memory.md."""

    parameters: Annotated[float, "the network's weights"]
    gradients: Annotated[float, "their gradients"]
    optimizer: Annotated[float, "what the optimizer keeps of each weight"]
    activations: Annotated[float, "what the backward pass needs of each layer"]
    input: Annotated[float, "a batch as the first layer gets it"]
    workspace: Annotated[float, "gradients of activations, and what is allowed for cuDNN"]
    images: Annotated[float, "the dataset, where it lies on the GPU whole"]
    context: Annotated[float, "what a process takes of a GPU before its first tensor; 0 of simulated ones"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunView:
    """What a submission would come to; nothing was queued."""

    dry_run: Annotated[bool, "always `true`"]
    network: Annotated[str, "the architecture"]
    dataset: Annotated[str, "a name, or where it lies"]
    image_size: Annotated[int, "side of what the network sees, in pixels"]
    batch_size: Annotated[int, "images of one step, on all GPUs together"]
    gpus: Annotated[int, "how many were asked for"]
    epochs: Annotated[int, "epochs that the spec asks for"]
    found: Annotated[
        str,
        "what a dataset by path contains, as in `1,321 images in 20 classes`; empty if it was not checked",
    ]
    hosts: Annotated[Sequence[CandidateHost], "those with as many such GPUs"]
    memory_mib: Annotated[MemoryParts, "what is needed of each GPU; see memory.md"]
    total_memory_mib: Annotated[float, "the sum of these"]
    device_memory_mib: Annotated[int | None, "what the largest GPUs have; `null` where nothing limits it"]
    epoch_seconds: Annotated[
        float | None, "how long an epoch took like jobs; `null` where no like job has completed one"
    ]
    training_seconds: Annotated[float | None, "how long all epochs would take; `null` as above"]
    like_jobs: Annotated[int, "jobs with the same spec that this was measured on"]
    starts_now: Annotated[bool, "whether it would start at once"]
    reason: Annotated[str, "where it would start, or why it would wait"]
    queue_position: Annotated[int | None, "its position in the queue, from 1; `null` if unknown"]
    estimated_start_at: Annotated[datetime | None, "when it would start; `null` if unknown"]
    notices: Annotated[Sequence[str], "what of it may surprise, in a sentence each"]
