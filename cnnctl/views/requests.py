"""What a client sends with an act; a field that is left out has its default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

PriorityName = Literal["low", "normal", "high"]
ScopeName = Literal["read", "submit", "admin"]
ChannelName = Literal["mail", "webhook"]
OccasionName = Literal["end", "failure", "preemption"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRequest:
    """A job to queue, or only to rehearse."""

    architecture: Annotated[str, "the network, as in `alexnet`"]
    fields: Annotated[Mapping[str, Any], "fields of the spec by dotted path, as in `optimizer.lr`"]
    priority: Annotated[PriorityName, "how urgent it is"] = "normal"
    project: Annotated[str, "what its GPU-hours are counted under"] = ""
    after: Annotated[Sequence[int], "jobs that must have succeeded before it starts"] = ()
    not_before: Annotated[datetime | None, "when it may start; at once where `null`"] = None
    exclusive: Annotated[bool, "whether it keeps other jobs off its host"] = False
    gpu_model: Annotated[str | None, "a part of the GPUs' model, as in `h200`"] = None
    host: Annotated[str | None, "the only host that it may run on"] = None
    hosts: Annotated[int, "hosts that it runs on at once, each with as many GPUs"] = 1
    hold: Annotated[bool, "whether it stays paused until somebody resumes it"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequest:
    """How paused jobs go on."""

    from_start: Annotated[bool, "whether its checkpoints are forgotten, and it begins at step 0"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityRequest:
    """How urgent a job shall be."""

    priority: Annotated[PriorityName, "from then on"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusRequest:
    """GPUs that something is done to: all of them, or none."""

    gpus: Annotated[Sequence[str], "UUIDs, beginnings of such, HOST:NUMBER, or hosts"]
    reason: Annotated[str, "why, for whoever looks"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What a person may have and do from then on; what is left out stays. A quota that is `null` is none."""

    weight: Annotated[float, "their part of the GPUs, relative to others"] = 1.0
    max_gpus: Annotated[int | None, "GPUs that they may hold at once"] = None
    max_queued: Annotated[int | None, "jobs that they may have waiting"] = None
    may_use_high: Annotated[bool, "the right to priority high"] = False
    administrator: Annotated[bool, "whether they may change everybody's jobs"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """An address to tell of one's jobs."""

    channel: Annotated[ChannelName, "how it is told"]
    address: Annotated[str, "of mails, or the URL of a webhook"]
    on: Annotated[Sequence[OccasionName], "of what it is told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token to make for oneself."""

    name: Annotated[str, "one's own word for it, as in `laptop`"]
    scope: Annotated[ScopeName, "the most that may be done with it"] = "submit"
    days: Annotated[float, "how long it is valid"] = 90.0
