"""Hosts and their GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cnnctl.views.states import GpuState


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsiderView:
    """A process that uses a GPU from outside the queue; what cannot be seen of it from its host is `null`."""

    pid: Annotated[int | None, "its process"]
    user: Annotated[str | None, "who runs it"]
    command: Annotated[str | None, "its program"]
    memory_mib: Annotated[int | None, "what it uses of the GPU's memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuView:
    """A GPU, who holds it and what its host's worker read of it last.

    What a device does not tell is `null`, and so is what was read longer ago than `CNNCTL_LEASE_SECONDS`. A
    simulated GPU has an even part of its host's memory; what it uses is the resident memory of its
    trainer's process, and its utilization that process's part of the CPU threads it was given, both
    divided evenly among the GPUs of the job. It has no temperature, ECC counter or driver.
    """

    uuid: Annotated[str, "its UUID, or `sim-HOST-NUMBER` of a simulated one"]
    host: Annotated[str, "the host it is in"]
    number: Annotated[int, "its number there"]
    model: Annotated[str, "what it calls itself, as in `NVIDIA H200`"]
    memory_mib: Annotated[int, "its memory"]
    simulated: Annotated[bool, "whether it is a part of the CPU"]
    mig: Annotated[bool, "whether it is an instance of a partitioned GPU"]
    driver: Annotated[str | None, "the version of its driver"]
    state: Annotated[GpuState, "`available`, `drained` or `quarantined`, see states.md"]
    reason: Annotated[str, "why it is in that state"]
    job: Annotated[int | None, "the job that holds it now"]
    owner: Annotated[str | None, "whose job that is"]
    since: Annotated[datetime | None, "since when"]
    alive: Annotated[bool, "whether its host's worker is alive"]
    temperature_celsius: Annotated[int | None, "its temperature"]
    utilization_percent: Annotated[int | None, "its utilization"]
    memory_used_mib: Annotated[int | None, "how much of its memory is in use"]
    ecc_errors: Annotated[int | None, "uncorrected ones since the driver was loaded"]
    outsiders: Annotated[
        Sequence[OutsiderView],
        "who uses it from outside the queue, see states.md; `null` is what its host cannot see of them",
    ]
    read_at: Annotated[datetime | None, "when it was read last"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderView:
    """A job that holds or held a GPU."""

    job: Annotated[int, "the job"]
    owner: Annotated[str, "whose job it is"]
    since: Annotated[datetime, "since when it held the GPU, perhaps from before the first bucket"]
    until: Annotated[datetime | None, "until when; `null` while it holds the GPU"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHistoryView:
    """What was read of a GPU over some hours until now, and who held it.

    A worker reads its GPUs every few seconds, and the means of each minute are kept for 30 days. Minutes that
    follow each other make a bucket: as few as give no more buckets than were asked for. Of each bucket
    there is the lowest and the highest mean of a minute; `null` where nothing was read.
    """

    uuid: Annotated[str, "its UUID, or `sim-HOST-NUMBER` of a simulated one"]
    host: Annotated[str, "the host it is in"]
    number: Annotated[int, "its number there"]
    model: Annotated[str, "what it calls itself, as in `NVIDIA H200`"]
    start: Annotated[datetime, "when the first bucket starts; the last one ends with this minute"]
    bucket_seconds: Annotated[int, "how long a bucket is: whole minutes"]
    utilization: Annotated[Sequence[tuple[float, float] | None], "of each bucket its utilization, in percent"]
    memory_used_mib: Annotated[Sequence[tuple[float, float] | None], "how much of its memory was in use"]
    temperature_celsius: Annotated[Sequence[tuple[float, float] | None], "its temperature"]
    mean_utilization: Annotated[float | None, "the mean of all minutes in which it was read"]
    mean_memory_used_mib: Annotated[float | None, "the same, of its memory in use"]
    holders: Annotated[Sequence[HolderView], "the jobs that held it meanwhile, the earliest first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host that had a worker once and was not removed."""

    host: Annotated[str, "its name"]
    alive: Annotated[bool, "whether its worker is alive"]
    reason: Annotated[
        str,
        "why it gets no work: its worker is silent, has left, is starting or stopping, or takes no messages; "
        "or, if it is `alive`, its disk has only the reserve left. Empty if it gets work",
    ]
    heartbeat_at: Annotated[
        datetime | None,
        "when its worker sent its last heartbeat; `null` if the worker has left or gets no work",
    ]
    cores: Annotated[int, "CPU cores"]
    gpus: Annotated[int, "GPUs in it"]
    gpus_free: Annotated[int, "those that a job could start on now"]
    driver: Annotated[str | None, "the version of its GPU driver"]
    clock_ahead_seconds: Annotated[
        float | None, "how far its clock is ahead of the database's; `null` until it is measured"
    ]
    jobs: Annotated[int, "jobs that run there"]
