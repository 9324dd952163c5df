"""Jobs: what was asked for, how far it has come, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from cnnctl.views.states import AttemptState, Cause, CheckpointKind, JobState, Outcome, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionView:
    """A job that was taken in."""

    job: Annotated[int, "its number"]
    state: Annotated[JobState, "`queued`, or `paused` with `--hold`"]
    architecture: Annotated[str, "the network"]
    dataset: Annotated[str, "a name, or where it lies"]
    gpus: Annotated[int, "how many it asks for"]
    found: Annotated[str, "what a dataset by place holds, as in `1,321 images in 20 classes`; else empty"]
    notices: Annotated[Sequence[str], "what of it may surprise, in a sentence each"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStateView:
    """A job after something was done to it."""

    job: Annotated[int, "its number"]
    state: Annotated[JobState, "its state now; `running` while its trainer still stops"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """A job in the list of all jobs, which begins with the newest."""

    job: Annotated[int, "its number"]
    state: Annotated[JobState, "its state, see states.md"]
    owner: Annotated[str, "who submitted it"]
    name: Annotated[str, "its name; may be empty"]
    tags: Annotated[Sequence[str], "words that it is found by, in the order of the alphabet"]
    priority: Annotated[Priority, "`low`, `normal` or `high`"]
    project: Annotated[str, "what it is counted under; empty where nothing was said"]
    architecture: Annotated[str, "the network"]
    dataset: Annotated[str, "a name, or where it lies"]
    gpus: Annotated[int, "how many it asked for"]
    host: Annotated[str | None, "where it runs now; of several hosts the chief's"]
    on_hosts: Annotated[
        Sequence[str], "all hosts of a running job, the chief's first; empty of one that does not run"
    ]
    epochs: Annotated[int, "complete epochs"]
    epochs_wanted: Annotated[int, "epochs that its spec asks for"]
    loss: Annotated[float | None, "of the training, as reported last"]
    accuracy: Annotated[float | None, "of the training, as reported last"]
    images_per_second: Annotated[float | None, "how fast a running job trains"]
    submitted_at: Annotated[datetime, "when it was submitted"]
    ended_at: Annotated[datetime | None, "when it succeeded, failed or was cancelled"]
    reason: Annotated[str, "why it is in its state"]
    estimated_start_at: Annotated[datetime | None, "when it will start, where the scheduler has a guess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """A page of a list of jobs."""

    items: Annotated[Sequence[JobSummary], "its jobs"]
    next: Annotated[
        int | None, "the job after which the next page goes on; `null` where this page is the last one"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """How many jobs there are."""

    total: Annotated[int, "all of them"]
    states: Annotated[Mapping[str, int], "those in each state, see states.md; a state may have none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsView:
    """What a job is called and what is written about it, after a change."""

    job: Annotated[int, "its number"]
    name: Annotated[str, "its name; may be empty"]
    tags: Annotated[Sequence[str], "words that it is found by, in the order of the alphabet"]
    note: Annotated[str, "its note, in any number of lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """What a measured quantity says about the training, see metrics.md."""

    name: Annotated[str, "what is unusual, as in `dead ReLU`"]
    layer: Annotated[str, "where; empty where it is of the whole network"]
    value: Annotated[float, "what was measured"]
    threshold: Annotated[float, "from where on it is unusual"]
    message: Annotated[str, "the same in words, with what to try"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointView:
    """A state that training can be continued from."""

    step: Annotated[int, "the step after which it was written"]
    epoch: Annotated[int, "the epoch that training continues in"]
    kind: Annotated[CheckpointKind, "`last` or `best`"]
    bytes: Annotated[int, "its size"]
    digest: Annotated[str, "SHA-256 of its tensors file, hex"]
    path: Annotated[str, "its folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One try of a job on one allocation of GPUs."""

    number: Annotated[int, "counts from 1 in each job"]
    state: Annotated[AttemptState, "its state, see states.md"]
    outcome: Annotated[Outcome | None, "how it ended, see states.md"]
    cause: Annotated[Cause | None, "why it failed or was lost, see states.md"]
    reason: Annotated[str, "the same in words, or what it does before its first step"]
    host: Annotated[str, "where it runs; of several hosts the chief's"]
    hosts: Annotated[Sequence[str], "all of its hosts, the chief's first"]
    devices: Annotated[Sequence[str], "UUIDs of its GPUs"]
    trainer_pid: Annotated[int | None, "the process of its trainer"]
    run_dir: Annotated[str, "its run folder"]
    start_step: Annotated[int | None, "the step it went on from"]
    created_at: Annotated[datetime, "when it was given its GPUs"]
    started_at: Annotated[datetime | None, "when it took its first step"]
    ended_at: Annotated[datetime | None, "when it ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryView:
    """Something that happened to a job."""

    at: Annotated[datetime, "when"]
    actor: Annotated[str, "who did it: a person, or a process of the service"]
    action: Annotated[str, "what they did"]
    detail: Annotated[str, "with what, or why"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What came of a job."""

    job: Annotated[int, "its number"]
    state: Annotated[JobState, "its state, see states.md"]
    outcome: Annotated[
        Outcome | None,
        "how its newest attempt ended, see states.md; `null` while that runs and before the first",
    ]
    epochs: Annotated[int, "complete epochs"]
    metrics: Annotated[
        Mapping[str, float | None],
        "last value of each metric by its name, as in `val_accuracy`; see metrics.md",
    ]
    verdicts: Annotated[Sequence[VerdictView], "what is unusual in the training; see metrics.md"]
    dataset: Annotated[str, "a name, or where it lies"]
    weights_digest: Annotated[
        str | None,
        "SHA-256 over the bytes of every model variable in order, hex; `null` until the job has succeeded",
    ]
    run_dir: Annotated[str | None, "the run folder of the newest attempt"]
    checkpoints: Annotated[Sequence[CheckpointView], "those that are kept"]
    model: Annotated[str | None, "the file of the trained network; `null` until the job has succeeded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView(JobResult):
    """Everything about one job: its result, what was asked for, and how it came to the one from the other."""

    owner: Annotated[str, "who submitted it"]
    name: Annotated[str, "its name; may be empty"]
    tags: Annotated[Sequence[str], "words that it is found by, in the order of the alphabet"]
    note: Annotated[str, "its note, in any number of lines"]
    like: Annotated[int | None, "the job whose spec its own was made of; `null`: made of none"]
    cause: Annotated[Cause | None, "why the newest attempt failed or was lost, see states.md"]
    reason: Annotated[str, "why it is in its state"]
    estimated_start_at: Annotated[datetime | None, "when it will start, where the scheduler has a guess"]
    log_tail: Annotated[Sequence[str], "the last lines of a failed job's log"]
    gpus: Annotated[int, "how many it asked for"]
    memory_mib: Annotated[
        int | None, "what each of its GPUs must have for sure, see memory.md; `null`: unknown"
    ]
    ample_memory_mib: Annotated[int | None, "what is surely enough of each, see memory.md; `null`: unknown"]
    priority: Annotated[Priority, "`low`, `normal` or `high`"]
    project: Annotated[str, "what it is counted under; empty where nothing was said"]
    after: Annotated[Sequence[int], "jobs that it waits for"]
    not_before: Annotated[datetime | None, "when it may start at the earliest"]
    exclusive: Annotated[bool, "whether it wants its host for itself"]
    gpu_model: Annotated[str | None, "the GPUs that it asked for"]
    host_asked_for: Annotated[str | None, "the host that it asked for"]
    hosts: Annotated[int, "how many hosts it asked for"]
    preemptions: Annotated[int, "how often it gave its GPUs to another job"]
    submitted_at: Annotated[datetime, "when it was submitted"]
    ended_at: Annotated[datetime | None, "when it succeeded, failed or was cancelled"]
    spec: Annotated[Mapping[str, Any], "the full spec, see spec.md"]
    attempts: Annotated[Sequence[AttemptView], "all of them, the first one first"]
    events: Annotated[Sequence[AuditEntryView], "its history, the oldest entry first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """The metrics of a job, one series each however often it was resumed."""

    series: Annotated[
        Mapping[str, Sequence[tuple[int, float | None]]],
        "pairs of step and value in the order of steps, by the metric's name; see metrics.md",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerProgress:
    """How far a trainer has come, as it last said."""

    epoch: Annotated[int, "the epoch that it is in, from 1"]
    epochs: Annotated[int, "epochs that its spec asks for"]
    step: Annotated[int, "steps since the start of the job"]
    steps_per_epoch: Annotated[int, "steps of one epoch"]
    images_per_second: Annotated[float, "how fast it trains"]
    loss: Annotated[float | None, "of the training; `null` where it is not finite"]
    accuracy: Annotated[float | None, "of the training; `null` as above"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """A job at one moment, for whoever follows it."""

    job: Annotated[int, "its number"]
    state: Annotated[JobState, "its state, see states.md"]
    finished: Annotated[bool, "whether it has succeeded, failed or was cancelled"]
    reason: Annotated[str, "why it is in this state"]
    architecture: Annotated[str, "the network"]
    dataset: Annotated[str, "a name, or where it lies"]
    gpus: Annotated[int, "how many it asked for"]
    host: Annotated[str, "where its attempt runs; of several hosts the chief's; empty while none does"]
    stage: Annotated[str, "what its attempt does before the first step, such as reading images"]
    progress: Annotated[TrainerProgress | None, "what its trainer said last; `null` before"]
    epochs: Annotated[
        Mapping[str, Sequence[tuple[int, float | None]]],
        "pairs of step and value of the metrics of whole epochs, by name",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """A part of what a job's newest attempt has written."""

    text: Annotated[str, "the part"]
    attempt: Annotated[int, "the attempt's number; 0 before the first"]
    next: Annotated[int, "the byte of this attempt's log that comes after the part"]
    continues: Annotated[
        bool,
        "whether the part begins at the byte that was asked for; else with the log, or it is its last part",
    ]
    finished: Annotated[bool, "whether the job has ended, so that nothing more will come"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A file of a job that can be downloaded."""

    name: Annotated[
        str,
        "as in `best.keras`, `spec.json`, `trainer.log` or `checkpoint-120.state.safetensors`",
    ]
    bytes: Annotated[int, "its size"]
    digest: Annotated[
        str | None, "SHA-256 of its bytes, hex; `null` of a log that still grows, and beyond 16 GiB"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecChoiceView:
    """A field of a job's spec."""

    field: Annotated[str, "its dotted path, see spec.md"]
    value: Annotated[Any, "its value"]
    default: Annotated[Any, "what it is where nothing is set for this architecture"]
    chosen: Annotated[bool, "whether the two differ"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecView:
    """A job's spec beside its defaults."""

    job: Annotated[int, "its number"]
    fields: Annotated[Sequence[SpecChoiceView], "in the order of the spec"]
    command: Annotated[str, "what submits the very same spec again"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceView:
    """A value in which two jobs differ."""

    field: Annotated[str, "its name"]
    first: Annotated[Any, "the first job's; `null` also where it has none"]
    second: Annotated[Any, "the second job's; `null` also where it has none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDiffView:
    """In what two jobs differ; what is the same in both is left out."""

    first: Annotated[int, "the number of the first job"]
    second: Annotated[int, "the number of the second job"]
    spec: Annotated[Sequence[DifferenceView], "fields of their specs, by dotted path; see spec.md"]
    scheduling: Annotated[Sequence[DifferenceView], "what was asked of the scheduler"]
    outcome: Annotated[
        Sequence[DifferenceView],
        "how they ended, or stand: state, complete epochs, attempts and preemptions; and of the newest "
        "attempt outcome and cause",
    ]
    metrics: Annotated[Sequence[DifferenceView], "last values of metrics, by name; see metrics.md"]
    environment: Annotated[
        Sequence[DifferenceView],
        "where the newest attempts ran: hosts, models of the GPUs, and CPU threads and versions of the GPUs' "
        "driver where a run folder is at hand",
    ]
    weights_digest: Annotated[
        tuple[str | None, str | None],
        "SHA-256 of their weights, hex, of the first and the second job; `null` until a job has succeeded",
    ]
    same_weights: Annotated[
        bool | None, "whether the weights are the same, bit for bit; `null` where a job has none"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariedField:
    """A value that is not the same in all jobs that are compared."""

    field: Annotated[str, "its name"]
    values: Annotated[Sequence[Any], "one of each job, in their order; `null` also where a job has none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """In what jobs differ; what is the same in all is left out."""

    jobs: Annotated[Sequence[int], "their numbers, in the order given"]
    labels: Annotated[Sequence[VariedField], "owner, name and tags"]
    spec: Annotated[Sequence[VariedField], "fields of their specs, by dotted path; see spec.md"]
    scheduling: Annotated[Sequence[VariedField], "what was asked of the scheduler"]
    outcome: Annotated[Sequence[VariedField], "how they ended, or stand, as `cnnctl diff` says it"]
    metrics: Annotated[Sequence[VariedField], "last values of metrics, by name; see metrics.md"]
    environment: Annotated[Sequence[VariedField], "where the newest attempts ran, as `cnnctl diff` says it"]
    weights_digest: Annotated[
        Sequence[str | None], "SHA-256 of their weights, hex; `null` until a job has succeeded"
    ]
    metric_names: Annotated[Sequence[str], "all metrics that some of the jobs have, in alphabetical order"]
