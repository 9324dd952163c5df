"""Add the GPUs' history: the means of what was read of each in each minute.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "gpu_minutes",
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gpu_uuid", sa.String(length=255), nullable=False),
        sa.Column("utilization_percent", sa.Float(53), nullable=True),
        sa.Column("utilization_readings", sa.Integer(), nullable=False),
        sa.Column("memory_used_mib", sa.Float(53), nullable=True),
        sa.Column("memory_readings", sa.Integer(), nullable=False),
        sa.Column("temperature_celsius", sa.Float(53), nullable=True),
        sa.Column("temperature_readings", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["gpu_uuid"], ["gpus.uuid"], name=op.f("fk_gpu_minutes_gpu_uuid")),
        sa.PrimaryKeyConstraint("minute", "gpu_uuid", name=op.f("pk_gpu_minutes")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("gpu_minutes")
