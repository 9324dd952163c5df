"""What a client sends with an act; a field that is left out has its default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from cnnctl.views.states import Channel, DatasetKind, JobState, Occasion, Priority, Scope

JobSort = Literal[
    "newest", "oldest", "ended", "priority", "owner", "network", "dataset", "state", "start"
]  # the orders of a list of jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRequest:
    """A job to queue, or only to rehearse."""

    architecture: Annotated[str | None, "the network, as in `alexnet`; `null`: that of the job `like`"] = None
    fields: Annotated[Mapping[str, Any], "fields of the spec by dotted path, as in `optimizer.lr`"] = field(
        default_factory=dict
    )
    like: Annotated[int | None, "the job that says whatever is not given"] = None
    name: Annotated[str, "what its owner calls it"] = ""
    tags: Annotated[Sequence[str], "words that it is found by"] = ()
    note: Annotated[str, "what its owner writes about it, in any number of lines"] = ""
    priority: Annotated[Priority | None, "how urgent it is; `normal` unless said"] = None
    project: Annotated[str | None, "what its GPU-hours are counted under"] = None
    after: Annotated[Sequence[int], "jobs that must have succeeded before it starts"] = ()
    not_before: Annotated[datetime | None, "when it may start; at once unless said"] = None
    exclusive: Annotated[bool | None, "whether it keeps other jobs off its host"] = None
    gpu_model: Annotated[str | None, "a part of the GPUs' model, as in `h200`"] = None
    host: Annotated[str | None, "the only host that it may run on"] = None
    hosts: Annotated[int | None, "hosts that it runs on at once, with as many GPUs each; 1 unless said"] = (
        None
    )
    hold: Annotated[bool, "whether it stays paused until somebody resumes it"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """A network to describe."""

    fields: Annotated[Mapping[str, Any], "fields of the spec by dotted path, those of `model` alone"] = field(
        default_factory=dict
    )
    input_shape: Annotated[
        Sequence[int] | None,
        "height, width and channels of an image; `null`: the network's own size, three channels",
    ] = None
    classes: Annotated[int, "number of classes"] = 10
    batch_size: Annotated[int, "images per step, for the memory"] = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list: those for which all that is given holds."""

    owner: Annotated[str | None, "who submitted it"] = None
    state: Annotated[Sequence[JobState], "one of these"] = ()
    project: Annotated[str | None, "what it is counted under; an empty text: under nothing"] = None
    tag: Annotated[Sequence[str], "all of these"] = ()
    network: Annotated[str | None, "its architecture"] = None
    dataset: Annotated[str | None, "a name, or where it lies"] = None
    since: Annotated[datetime | None, "submitted then or later"] = None
    ended_since: Annotated[datetime | None, "ended then or later"] = None
    text: Annotated[str, "a part of its name or note, in any case"] = ""
    like: Annotated[int | None, "made like this job"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """What is to be changed of a job's labels; `null` leaves a text as it is, an empty one removes it."""

    name: Annotated[str | None, "what its owner calls it"] = None
    note: Annotated[str | None, "what its owner writes about it"] = None
    add_tags: Annotated[Sequence[str], "tags to add"] = ()
    remove_tags: Annotated[Sequence[str], "tags to remove"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """A dataset to upload in pieces, as one file: an .npz, or an uncompressed tar of a folder's content."""

    name: Annotated[str, "what the dataset will be called"]
    kind: Annotated[DatasetKind, "`folder`, of which a tar is uploaded, or `npz`"]
    total_bytes: Annotated[int, "the size of the file"]
    digest: Annotated[str, "SHA-256 of the file, hex"]
    description: Annotated[str, "what others should know of it"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequest:
    """How paused jobs go on."""

    from_start: Annotated[bool, "whether its checkpoints are forgotten, and it begins at step 0"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityRequest:
    """How urgent a job shall be."""

    priority: Annotated[Priority, "from then on"]


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
class GarbageRequest:
    """What may be deleted of what no job can still need."""

    older_than_days: Annotated[int, "how long failed and cancelled jobs keep their checkpoints"] = 30
    orphans: Annotated[bool, "whether run folders of that age go that the database does not know"] = False
    dry_run: Annotated[bool, "whether nothing is deleted"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """An address to tell of one's jobs."""

    channel: Annotated[Channel, "how it is told"]
    address: Annotated[str, "of mails, or the URL of a webhook"]
    on: Annotated[Sequence[Occasion], "of what it is told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token to make for oneself."""

    name: Annotated[str, "one's own word for it, as in `laptop`"]
    scope: Annotated[Scope, "the most that may be done with it"] = "submit"
    days: Annotated[float, "how long it is valid"] = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """A study to start: one of the catalog, or one of a file."""

    name: Annotated[str | None, "a study of the catalog"] = None
    toml: Annotated[str | None, "the text of a study file, instead"] = None
    scale: Annotated[str | None, "how much is run; the study's first scale unless said"] = None
    seeds: Annotated[int | None, "seeds of each arm; those of the scale unless said"] = None
    priority: Annotated[Priority, "how urgent its jobs are"] = "normal"
    fresh: Annotated[bool, "whether it trains what an earlier study has trained, too"] = False
    known: Annotated[
        Mapping[str, Mapping[str, Any]],
        "numbers of runs that were made elsewhere, by the `training_digest` of its evidence",
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendRequest:
    """More seeds for a study."""

    seeds: Annotated[int, "seeds of each arm, those that it has included"]
