"""Keep one audit of everything that people change, and say how they came in.

Deployment: stop (no older code may run beside it).
"""

import sqlalchemy as sa
from alembic import op

from migrations.checks import choice, is_sqlite, one_of

revision = "0009"
down_revision = "0008"

SUBJECTS = ("job", "gpu", "host", "user", "token", "hook", "dataset", "garbage")
JOB_ACTIONS = (
    "submitted",
    "dispatched",
    "started",
    "cancel_requested",
    "pause_requested",
    "preempt_requested",
    "priority_changed",
    "requeued",
    "preempted",
    "paused",
    "resumed",
    "succeeded",
    "failed",
    "cancelled",
    "retried",
)
OTHER_ACTIONS = (
    "drained",
    "undrained",
    "quarantined",
    "released",
    "added",
    "changed",
    "removed",
)
MOMENT = sa.DateTime(timezone=True)
KEPT = "id, job_id, attempt_id, at, actor, action, detail"


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("via", sa.String(length=320), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("subject", choice("subject", *SUBJECTS), nullable=False),
        sa.Column("subject_name", sa.String(length=1024), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("attempt_id", sa.Integer(), nullable=True),
        sa.Column("action", choice("action", *JOB_ACTIONS, *OTHER_ACTIONS), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(subject = 'job') = (job_id IS NOT NULL)", name=op.f("ck_audit_entries_job_id_iff_job")
        ),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_audit_entries_attempt_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_audit_entries_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sqlite_autoincrement=True,
    )
    op.execute(
        f"INSERT INTO audit_entries ({KEPT}, via, origin, subject, subject_name) "
        f"SELECT {KEPT}, '', '', 'job', '' FROM job_events ORDER BY id"
    )
    _continue_numbers("audit_entries")
    for column in ("at", "job_id"):
        op.create_index(op.f(f"ix_audit_entries_{column}"), "audit_entries", [column], unique=False)
    op.drop_table("job_events")


def downgrade() -> None:
    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", choice("action", *JOB_ACTIONS), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_job_events_attempt_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    known = one_of("action", JOB_ACTIONS)
    op.execute(
        f"INSERT INTO job_events ({KEPT}) SELECT {KEPT} FROM audit_entries "
        f"WHERE subject = 'job' AND {known} ORDER BY id"
    )
    _continue_numbers("job_events")
    op.create_index(op.f("ix_job_events_job_id"), "job_events", ["job_id"], unique=False)
    op.drop_table("audit_entries")


def _continue_numbers(table: str) -> None:
    """Let new rows be numbered after those that were copied; SQLite does so by itself."""
    if not is_sqlite():
        op.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
            f"(SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
        )
