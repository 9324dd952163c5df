"""Add how a job is to be run, after which jobs, who may do what, and whom to tell; jobs can be paused.

Deployment: pre (run before the new code starts).
"""

import json

import sqlalchemy as sa
from alembic import op

from migrations.checks import change_check, choice, is_sqlite, one_of

revision = "0003"
down_revision = "0002"

MOMENT = sa.DateTime(timezone=True)
# Table, column, the values until now, the values from now on.
WIDENED = [
    (
        "jobs",
        "state",
        ("queued", "running", "succeeded", "failed", "cancelled"),
        ("queued", "running", "paused", "succeeded", "failed", "cancelled"),
    ),
    ("attempts", "wish", ("cancel",), ("preempt", "pause", "cancel")),
    (
        "job_events",
        "action",
        (
            *("submitted", "dispatched", "started", "cancel_requested", "requeued", "succeeded", "failed"),
            *("cancelled", "retried"),
        ),
        (
            *("submitted", "dispatched", "started", "cancel_requested", "pause_requested"),
            *("preempt_requested", "priority_changed", "requeued", "preempted", "paused", "resumed"),
            *("succeeded", "failed", "cancelled", "retried"),
        ),
    ),
]
UNFINISHED = "(state IN ('queued', 'running')) = (ended_at IS NULL)"
UNFINISHED_OR_PAUSED = "(state IN ('queued', 'running', 'paused')) = (ended_at IS NULL)"
# In SQL that both databases read: Alembic would copy SQLite's table, which its foreign keys forbid.
ADDED = [
    ("jobs", "time_limit_seconds FLOAT"),
    (
        "jobs",
        "priority VARCHAR(32) DEFAULT 'normal' NOT NULL "
        "CONSTRAINT ck_jobs_priority CHECK (priority IN ('low', 'normal', 'high'))",
    ),
    ("jobs", "project VARCHAR(255) DEFAULT '' NOT NULL"),
    ("jobs", "not_before {moment}"),
    ("jobs", "exclusive BOOLEAN DEFAULT false NOT NULL"),
    ("jobs", "gpu_model VARCHAR(255)"),
    ("jobs", "host_name VARCHAR(255)"),
    ("jobs", "preemptions INTEGER DEFAULT 0 NOT NULL"),
    ("attempts", "wish_reason TEXT DEFAULT '' NOT NULL"),
]


def upgrade() -> None:
    for table, column, before, after in WIDENED:
        change_check(table, f"ck_{table}_{column}", one_of(column, before), one_of(column, after))
    change_check("jobs", "ck_jobs_ended_at_iff_finished", UNFINISHED, UNFINISHED_OR_PAUSED)
    moment = "DATETIME" if is_sqlite() else "TIMESTAMP WITH TIME ZONE"
    for table, definition in ADDED:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {definition.format(moment=moment)}")
    _copy_time_limits()
    _create_people()
    _create_hooks()


def downgrade() -> None:
    for table in ("notifications", "hooks", "users", "job_dependencies"):
        op.drop_table(table)
    for table, definition in reversed(ADDED):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {definition.split()[0]}")
    op.execute("UPDATE jobs SET state = 'cancelled', ended_at = CURRENT_TIMESTAMP WHERE state = 'paused'")
    op.execute("UPDATE attempts SET wish = NULL WHERE wish <> 'cancel'")
    op.execute(f"DELETE FROM job_events WHERE NOT ({one_of('action', WIDENED[2][2])})")
    change_check("jobs", "ck_jobs_ended_at_iff_finished", UNFINISHED_OR_PAUSED, UNFINISHED)
    for table, column, before, after in WIDENED:
        change_check(table, f"ck_{table}_{column}", one_of(column, after), one_of(column, before))


def _copy_time_limits() -> None:
    connection = op.get_bind()
    limited = r"""spec LIKE '%"time_limit_minutes"\:%' AND spec NOT LIKE '%"time_limit_minutes"\:null%'"""
    copy = sa.text("UPDATE jobs SET time_limit_seconds = :seconds WHERE id = :id")
    for number, spec in connection.execute(sa.text(f"SELECT id, spec FROM jobs WHERE {limited}")).all():
        seconds = 60 * json.loads(spec)["resources"]["time_limit_minutes"]
        connection.execute(copy, {"seconds": seconds, "id": number})


def _create_people() -> None:
    op.create_table(
        "job_dependencies",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("after_job_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("after_job_id < job_id", name=op.f("ck_job_dependencies_after_an_earlier_job")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_dependencies_job_id")),
        sa.ForeignKeyConstraint(["after_job_id"], ["jobs.id"], name=op.f("fk_job_dependencies_after_job_id")),
        sa.PrimaryKeyConstraint("job_id", "after_job_id", name=op.f("pk_job_dependencies")),
    )
    op.create_index(op.f("ix_job_dependencies_after_job_id"), "job_dependencies", ["after_job_id"])
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("weight", sa.Float(precision=53), nullable=False),
        sa.Column("max_gpus", sa.Integer(), nullable=True),
        sa.Column("max_queued", sa.Integer(), nullable=True),
        sa.Column("may_use_high", sa.Boolean(), nullable=False),
        sa.Column("administrator", sa.Boolean(), nullable=False),
        sa.CheckConstraint("weight > 0", name=op.f("ck_users_weight_positive")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )


def _create_hooks() -> None:
    op.create_table(
        "hooks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("channel", choice("channel", "mail", "webhook"), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("on_end", sa.Boolean(), nullable=False),
        sa.Column("on_failure", sa.Boolean(), nullable=False),
        sa.Column("on_preemption", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hooks")),
    )
    op.create_index(op.f("ix_hooks_owner"), "hooks", ["owner"])
    op.create_table(
        "notifications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hook_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=True),
        sa.Column("occasion", choice("occasion", "end", "failure", "preemption"), nullable=False),
        sa.Column("job_state", choice("job_state", *WIDENED[0][3]), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["hook_id"], ["hooks.id"], name=op.f("fk_notifications_hook_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_notifications_job_id")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_notifications_attempt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(op.f("ix_notifications_hook_id"), "notifications", ["hook_id"])
    op.create_index(op.f("ix_notifications_next_try_at"), "notifications", ["next_try_at"])
