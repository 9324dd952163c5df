"""The state machines of jobs and attempts, as data; the database repeats them as CHECK constraints."""

from collections.abc import Mapping
from enum import Enum


class JobState(str, Enum):
    """The state of a job; a finished job changes it again only when a person retries the job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(str, Enum):
    """How urgent a job is, from the least to the most; the highest needs a permission."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


URGENCY: Mapping[Priority, int] = {priority: number for number, priority in enumerate(Priority)}


class AttemptState(str, Enum):
    """The state of an attempt; it holds its leases until it has ended."""

    DISPATCHED = "dispatched"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class Outcome(str, Enum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LOST = "lost"


class Cause(str, Enum):
    """Why an attempt failed or was lost."""

    OUT_OF_MEMORY = "out_of_memory"
    NAN_LOSS = "nan_loss"
    DATA_ERROR = "data_error"
    DISK_FULL = "disk_full"
    TIME_LIMIT = "time_limit"
    ERROR = "error"
    DEVICE_ERROR = "device_error"
    KILLED = "killed"
    LOST_HOST = "lost_host"


class StopRequest(str, Enum):
    """What a person or the service wants of a live attempt; its worker reads it with the heartbeat.

    From the weakest to the strongest: a request replaces only a weaker one.
    """

    PREEMPT = "preempt"
    PAUSE = "pause"
    CANCEL = "cancel"


class GpuState(str, Enum):
    """Whether the scheduler may use a GPU."""

    AVAILABLE = "available"
    DRAINED = "drained"
    QUARANTINED = "quarantined"


class CheckpointKind(str, Enum):
    """Why a checkpoint is kept: the newest ones to resume from, the best one to use."""

    LAST = "last"
    BEST = "best"


class Channel(str, Enum):
    """How a message about a job is sent."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class Occasion(str, Enum):
    """When a message about a job is sent."""

    END = "end"
    FAILURE = "failure"
    PREEMPTION = "preemption"


class Subject(str, Enum):
    """What an audit entry is about."""

    JOB = "job"
    GPU = "gpu"
    HOST = "host"
    USER = "user"
    TOKEN = "token"
    HOOK = "hook"
    DATASET = "dataset"
    GARBAGE = "garbage"
    STUDY = "study"
    LINK = "link"
    SESSION = "session"


class DatasetKind(str, Enum):
    """What one of the lab's own datasets is: a folder of images by class, or one file of arrays."""

    FOLDER = "folder"
    NPZ = "npz"


class Scope(str, Enum):
    """What a person may do by the way in which they came in, from the least to the most."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"


class CredentialKind(str, Enum):
    """A secret that proves who somebody is: for programs, for one visit, for a browser."""

    TOKEN = "token"
    LINK = "link"
    SESSION = "session"


class Action(str, Enum):
    """What happened to a job or another subject, for the audit."""

    SUBMITTED = "submitted"
    DISPATCHED = "dispatched"
    STARTED = "started"
    CANCEL_REQUESTED = "cancel_requested"
    PAUSE_REQUESTED = "pause_requested"
    PREEMPT_REQUESTED = "preempt_requested"
    PRIORITY_CHANGED = "priority_changed"
    REQUEUED = "requeued"
    PREEMPTED = "preempted"
    PAUSED = "paused"
    RESUMED = "resumed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    DRAINED = "drained"
    UNDRAINED = "undrained"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    # In: submitted, resumed, retried, or its attempt was lost or interrupted.
    # Out: GPUs leased, paused, or cancelled.
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED}),
    # In: an attempt holds leases for it. Out: the attempt's outcome.
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.PAUSED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    ),
    # In: paused by a person, submitted on hold, impossible to plan, or unable to go on from its checkpoints.
    # Out: a person resumes or cancels it.
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    # In: the network is trained and stored. Out: never.
    JobState.SUCCEEDED: frozenset(),
    # In: the trainer failed, or attempts were lost beyond the limit. Out: a person retries.
    JobState.FAILED: frozenset({JobState.QUEUED}),
    # In: a person cancelled. Out: a person retries.
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}

ATTEMPT_TRANSITIONS: Mapping[AttemptState, frozenset[AttemptState]] = {
    # In: the scheduler leased GPUs. Out: a worker claims it, or it is cancelled or lost before.
    AttemptState.DISPATCHED: frozenset({AttemptState.STARTING, AttemptState.ENDED}),
    # In: claimed. Out: the trainer has taken its first step, or it ended before.
    AttemptState.STARTING: frozenset({AttemptState.RUNNING, AttemptState.ENDED}),
    # In: the first step is taken. Out: the trainer ended or was lost.
    AttemptState.RUNNING: frozenset({AttemptState.ENDED}),
    AttemptState.ENDED: frozenset(),
}

# Causes that another try may avoid; any other cause would make it fail again.
UNDONE_BY_RETRY = frozenset({Cause.DEVICE_ERROR, Cause.KILLED, Cause.LOST_HOST})

FINISHED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
RETRYABLE = frozenset({JobState.FAILED, JobState.CANCELLED})

JOB_STATE_AFTER: Mapping[Outcome, JobState] = {
    Outcome.SUCCEEDED: JobState.SUCCEEDED,
    Outcome.FAILED: JobState.FAILED,
    Outcome.CANCELLED: JobState.CANCELLED,
    Outcome.INTERRUPTED: JobState.QUEUED,
    Outcome.LOST: JobState.QUEUED,
}


class Standing(str, Enum):
    """Whether a host gets work."""

    REGISTERED = "registered"  # it does while its worker is alive
    RESERVED = "reserved"  # its worker is starting or stopping, and holds the host's name
    DISK_FULL = "disk_full"  # what runs there continues, and nothing new starts
    UNANSWERING = "unanswering"  # its worker is alive, but takes no messages
    REMOVED = "removed"  # by an administrator, until a worker of its name starts


class StudyState(str, Enum):
    """The state of a study."""

    RUNNING = "running"  # it has runs that have not ended
    HELD = "held"  # runs have failed alike one after the other; nothing of it starts until somebody reruns it
    FINISHED = "finished"  # all its runs have ended
    CANCELLED = "cancelled"


class Stage(str, Enum):
    """What a run of a study is for."""

    TUNE = "tune"
    MEASURE = "measure"
