"""The tables in SQLAlchemy Core; a test compares them with what the migrations build.

Core without the ORM: importing the ORM costs every command 0.2 s, and the store maps rows to the frozen
values of `service.domain` itself. Partial indexes are in `partial_indexes.py` for the same reason.
"""

from datetime import datetime, timezone
from enum import Enum as PyEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from service.domain import states


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on every database; SQLite, which has no time zones, stores it naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def choice(enum: type[PyEnum], name: str) -> Enum:
    """A text column that a CHECK constraint limits to the enum's values."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("note", Text, nullable=False),
    Column("like_job_id", Integer, ForeignKey("jobs.id"), index=True),  # whose spec this one's was made of
    Column("state", choice(states.JobState, "state"), nullable=False, index=True),
    Column("spec", Text, nullable=False),
    Column("architecture", String(255), nullable=False),
    Column("dataset", String(1024), nullable=False),
    Column("gpus", Integer, nullable=False),
    # Needed on each GPU, surely and at most; NULL for jobs from before memory was predicted.
    Column("memory_mib", Integer),
    Column("ample_memory_mib", Integer),
    Column("time_limit_seconds", Float(53)),
    Column("priority", choice(states.Priority, "priority"), nullable=False),
    Column("project", String(255), nullable=False),
    Column("not_before", UtcDateTime),
    Column("exclusive", Boolean, nullable=False),
    Column("gpu_model", String(255)),
    Column("host_name", String(255)),  # asked for
    Column("hosts", Integer, nullable=False),  # over how many hosts at once
    Column("reason", Text, nullable=False),
    Column("estimated_start_at", UtcDateTime),
    Column("lost_attempts", Integer, nullable=False),
    Column("preemptions", Integer, nullable=False),
    Column("submitted_at", UtcDateTime, nullable=False, index=True),
    Column("ended_at", UtcDateTime),
    Index("ix_jobs_owner", "owner", "id"),  # this and the next: pages of jobs, newest first
    Index("ix_jobs_project", "project", "id"),
    CheckConstraint("gpus >= 1", name="gpus_positive"),
    CheckConstraint("hosts >= 1", name="hosts_positive"),
    CheckConstraint(
        "(state IN ('queued', 'running', 'paused')) = (ended_at IS NULL)", name="ended_at_iff_finished"
    ),
    sqlite_autoincrement=True,  # a job's number is never reused
)

job_tags = Table(
    "job_tags",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("tag", String(64), primary_key=True),
    Index("ix_job_tags_tag", "tag", "job_id"),
)

job_dependencies = Table(
    "job_dependencies",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("after_job_id", Integer, ForeignKey("jobs.id"), primary_key=True, index=True),
    CheckConstraint("after_job_id < job_id", name="after_an_earlier_job"),  # so there can be no cycle
)

users = Table(
    "users",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("weight", Float(53), nullable=False),
    Column("max_gpus", Integer),
    Column("max_queued", Integer),
    Column("may_use_high", Boolean, nullable=False),
    Column("administrator", Boolean, nullable=False),
    CheckConstraint("weight > 0", name="weight_positive"),
)

# Who came in through the API; what people were granted is in `users`.
sightings = Table(
    "sightings",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("uid", BigInteger),  # NULL: they came by a credential alone
    Column("seen_at", UtcDateTime, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", choice(states.CredentialKind, "kind"), nullable=False),
    Column("owner", String(255), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("operator", Boolean, nullable=False),  # whether its owner was one when it was made
    Column("scope", choice(states.Scope, "scope"), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the secret
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    sqlite_autoincrement=True,
)

# Acts that a client may send again: each is done once, and answered with the first result.
request_keys = Table(
    "request_keys",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("answer", Text),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("worker", String(64), nullable=False),
    Column("standing", choice(states.Standing, "standing"), nullable=False),
    Column("cores", Integer, nullable=False),
    Column("heartbeat_at", UtcDateTime),  # NULL: its worker has left
    Column("clock_ahead_seconds", Float(53)),  # how far the host's clock is ahead of the database's
)

gpus = Table(
    "gpus",
    metadata,
    Column("uuid", String(255), primary_key=True),
    Column("host_name", String(255), ForeignKey("hosts.name"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("model", String(255), nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("mig", Boolean, nullable=False),
    Column("driver", String(64)),
    Column("present", Boolean, nullable=False),
    Column("state", choice(states.GpuState, "state"), nullable=False),
    Column("reason", Text, nullable=False),
)

gpu_readings = Table(
    "gpu_readings",
    metadata,
    Column("gpu_uuid", String(255), ForeignKey("gpus.uuid"), primary_key=True),
    Column("read_at", UtcDateTime, nullable=False),
    Column("temperature_celsius", Integer),  # NULL, here and below: the device does not report it
    Column("utilization_percent", Integer),
    Column("memory_used_mib", Integer),
    Column("ecc_errors", BigInteger),
    Column("outsiders", Text, nullable=False),  # JSON, read and replaced as a whole
)

# The minute comes first: a window of time, of all GPUs, is what is read and what is deleted.
gpu_minutes = Table(
    "gpu_minutes",
    metadata,
    Column("minute", Integer, primary_key=True, autoincrement=False),  # since 1970, in UTC
    Column("gpu_uuid", String(255), ForeignKey("gpus.uuid"), primary_key=True),
    # Of each measure the mean and of how many readings; NULL and 0: the device reported none.
    Column("utilization_percent", Float(53)),
    Column("utilization_readings", Integer, nullable=False),
    Column("memory_used_mib", Float(53)),
    Column("memory_readings", Integer, nullable=False),
    Column("temperature_celsius", Float(53)),
    Column("temperature_readings", Integer, nullable=False),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("host_name", String(255), ForeignKey("hosts.name"), nullable=False),
    Column("state", choice(states.AttemptState, "state"), nullable=False),
    Column("outcome", choice(states.Outcome, "outcome")),
    Column("cause", choice(states.Cause, "cause")),
    Column("reason", Text, nullable=False),
    Column("stop_request", choice(states.StopRequest, "stop_request")),
    Column("stop_reason", Text, nullable=False),
    Column("token", Integer, nullable=False),
    Column("worker", String(64)),
    Column("run_dir", Text, nullable=False),
    Column("trainer_pid", Integer),
    Column("trainer_started", BigInteger),
    Column("start_step", BigInteger),  # where this attempt resumed; NULL before its first step
    Column("environment", Text),  # JSON: all outside the spec that can change a result; NULL as above
    Column("exact", Boolean),  # whether it goes on bit for bit; NULL before its first step
    Column("stalls", BigInteger, nullable=False),  # how often it stood still for a checkpoint
    Column("stall_seconds", Float(53), nullable=False),
    Column("events_offset", BigInteger, nullable=False),
    Column("progress", Text),
    Column("epochs_completed", Integer, nullable=False),
    Column("weights_digest", String(64)),
    Column("model_path", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("job_id", "number"),
    CheckConstraint("number >= 1", name="number_positive"),
    CheckConstraint("(state = 'ended') = (outcome IS NOT NULL)", name="outcome_iff_ended"),
    CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_at_iff_ended"),
    sqlite_autoincrement=True,
)

# The members of an attempt over several hosts, the chief with rank 0; other attempts have no rows.
attempt_members = Table(
    "attempt_members",
    metadata,
    Column("attempt_id", Integer, ForeignKey("attempts.id"), primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("host_name", String(255), ForeignKey("hosts.name"), nullable=False),
    Column("address", String(255)),  # HOST:PORT of its trainer; NULL before a worker claimed the member
    Column("worker", String(64)),
    Column("trainer_pid", Integer),
    Column("trainer_started", BigInteger),
    Column("outcome", choice(states.Outcome, "outcome")),
    Column("cause", choice(states.Cause, "cause")),
    Column("reason", Text, nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime),
    Column("ended_at", UtcDateTime),  # all its processes are gone
    CheckConstraint("(outcome IS NOT NULL) = (ended_at IS NOT NULL)", name="outcome_iff_ended"),
)

leases = Table(
    "leases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("attempt_id", Integer, ForeignKey("attempts.id"), nullable=False, index=True),
    Column("gpu_uuid", String(255), ForeignKey("gpus.uuid"), nullable=False),
    Column("acquired_at", UtcDateTime, nullable=False),
    Column("released_at", UtcDateTime),
)

metrics = Table(
    "metrics",
    metadata,
    Column("attempt_id", Integer, ForeignKey("attempts.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Float(53)),  # NULL: not a finite number
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("attempt_id", Integer, ForeignKey("attempts.id"), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("kind", choice(states.CheckpointKind, "kind"), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("path", Text, nullable=False),
    UniqueConstraint("attempt_id", "step"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor", String(255), nullable=False),
    Column("via", String(320), nullable=False),  # empty in entries from before it was recorded
    Column("origin", String(255), nullable=False),
    Column("subject", choice(states.Subject, "subject"), nullable=False),
    Column("subject_name", String(1024), nullable=False),  # empty where `job_id` names it
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True),
    Column("attempt_id", Integer, ForeignKey("attempts.id")),
    Column("action", choice(states.Action, "action"), nullable=False),
    Column("detail", Text, nullable=False),
    Column("before", Text),  # JSON objects of what changed
    Column("after", Text),
    CheckConstraint("(subject = 'job') = (job_id IS NOT NULL)", name="job_id_iff_job"),
    sqlite_autoincrement=True,  # clients go on after the last number that they saw
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    Column("version", String(128), nullable=False, index=True),  # of its folder or file, too
    Column("kind", choice(states.DatasetKind, "kind"), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("is_published", Boolean, nullable=False),  # its files are in their place
    Column("removed_at", UtcDateTime),
    Column("removed_by", String(255)),
)

dataset_uploads = Table(
    "dataset_uploads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(255), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("kind", choice(states.DatasetKind, "kind"), nullable=False),
    Column("description", Text, nullable=False),
    Column("total_bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False),  # when its newest piece came
    sqlite_autoincrement=True,  # a number names a file: none is used twice
)

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    Column("owner", String(255), nullable=False),
    Column("scale", String(64), nullable=False),
    Column("definition", Text, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the definition
    Column("planned_seeds", Integer, nullable=False),  # decided before the first run
    Column("seeds", Integer, nullable=False),  # since it was extended
    Column("priority", choice(states.Priority, "priority"), nullable=False),
    Column("state", choice(states.StudyState, "state"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("submitted_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("(state IN ('running', 'held')) = (ended_at IS NULL)", name="ended_at_iff_ended"),
    sqlite_autoincrement=True,
)

study_runs = Table(
    "study_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id"), nullable=False),
    Column("stage", choice(states.Stage, "stage"), nullable=False),
    Column("arm", String(64), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("tuned", Text, nullable=False),  # JSON: fields of the spec that are tuned, by dotted path
    Column("training_digest", String(64), nullable=False, index=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True),  # NULL: its numbers came from elsewhere
    Column("shared", Boolean, nullable=False),  # an earlier study's job had the same spec
    Column("numbers", Text),  # JSON; NULL: it has not ended, or not with a result
    Column("failure", Text, nullable=False),  # why it has none; empty: it did not fail
    UniqueConstraint("study_id", "stage", "arm", "seed", "tuned"),
)

attempt_logs = Table(
    "attempt_logs",
    metadata,
    Column("attempt_id", Integer, ForeignKey("attempts.id"), primary_key=True),
    Column("tail", Text, nullable=False),
)

schedulers = Table(
    "schedulers",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("broker_error", Text, nullable=False),
    Column("ticks", BigInteger, nullable=False),  # of all processes of this name
    Column("tick_seconds", Float(53), nullable=False),  # which these took together
)

hooks = Table(
    "hooks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(255), nullable=False, index=True),
    Column("channel", choice(states.Channel, "channel"), nullable=False),
    Column("address", Text, nullable=False),
    Column("on_end", Boolean, nullable=False),
    Column("on_failure", Boolean, nullable=False),
    Column("on_preemption", Boolean, nullable=False),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hook_id", Integer, ForeignKey("hooks.id"), nullable=False, index=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("attempt_id", Integer, ForeignKey("attempts.id")),  # NULL: the job ended in the queue
    Column("occasion", choice(states.Occasion, "occasion"), nullable=False),
    Column("job_state", choice(states.JobState, "job_state"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", UtcDateTime, index=True),  # NULL: delivered, or given up
    Column("delivered_at", UtcDateTime),
    Column("error", Text, nullable=False),
)
