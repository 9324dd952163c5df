"""Add what workers read of their GPUs, drivers and MIG instances; GPUs can be drained.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

from migrations.checks import change_check

revision = "0005"
down_revision = "0004"

BEFORE = "state IN ('available', 'quarantined')"
AFTER = "state IN ('available', 'drained', 'quarantined')"


def upgrade() -> None:
    change_check("gpus", "ck_gpus_state", BEFORE, AFTER)
    # In SQL that both databases read: Alembic would copy SQLite's table, which its foreign keys forbid.
    op.execute("ALTER TABLE gpus ADD COLUMN mig BOOLEAN DEFAULT false NOT NULL")
    op.execute("ALTER TABLE gpus ADD COLUMN driver VARCHAR(64)")
    op.create_table(
        "gpu_readings",
        sa.Column("gpu_uuid", sa.String(length=255), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("temperature_celsius", sa.Integer(), nullable=True),
        sa.Column("utilization_percent", sa.Integer(), nullable=True),
        sa.Column("memory_used_mib", sa.Integer(), nullable=True),
        sa.Column("ecc_errors", sa.BigInteger(), nullable=True),
        sa.Column("outsiders", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["gpu_uuid"], ["gpus.uuid"], name=op.f("fk_gpu_readings_gpu_uuid")),
        sa.PrimaryKeyConstraint("gpu_uuid", name=op.f("pk_gpu_readings")),
    )


def downgrade() -> None:
    op.drop_table("gpu_readings")
    op.execute("ALTER TABLE gpus DROP COLUMN driver")
    op.execute("ALTER TABLE gpus DROP COLUMN mig")
    op.execute("UPDATE gpus SET state = 'quarantined' WHERE state = 'drained'")  # it keeps getting no job
    change_check("gpus", "ck_gpus_state", AFTER, BEFORE)
