"""Add jobs over several hosts, and the members of their attempts.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

from migrations.checks import choice

revision = "0006"
down_revision = "0005"

MOMENT = sa.DateTime(timezone=True)
OUTCOMES = ("succeeded", "failed", "cancelled", "interrupted", "lost")
CAUSES = (
    *("out_of_memory", "nan_loss", "data_error", "disk_full", "time_limit", "error", "device_error"),
    *("killed", "lost_host"),
)


def upgrade() -> None:
    op.execute(
        "ALTER TABLE jobs ADD COLUMN hosts INTEGER DEFAULT 1 NOT NULL "
        "CONSTRAINT ck_jobs_hosts_positive CHECK (hosts >= 1)"
    )
    op.create_table(
        "attempt_members",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("host_name", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=True),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("trainer_pid", sa.Integer(), nullable=True),
        sa.Column("trainer_started", sa.BigInteger(), nullable=True),
        sa.Column("outcome", choice("outcome", *OUTCOMES), nullable=True),
        sa.Column("cause", choice("cause", *CAUSES), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("heartbeat_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(outcome IS NOT NULL) = (ended_at IS NOT NULL)",
            name=op.f("ck_attempt_members_outcome_iff_ended"),
        ),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_attempt_members_attempt_id")),
        sa.ForeignKeyConstraint(["host_name"], ["hosts.name"], name=op.f("fk_attempt_members_host_name")),
        sa.PrimaryKeyConstraint("attempt_id", "rank", name=op.f("pk_attempt_members")),
    )


def downgrade() -> None:
    op.drop_table("attempt_members")
    op.execute("ALTER TABLE jobs DROP COLUMN hosts")
