"""Add why an attempt failed and how far each host's clock is off.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

CAUSES = (
    "out_of_memory",
    "nan_loss",
    "data_error",
    "disk_full",
    "time_limit",
    "error",
    "device_error",
    "killed",
    "lost_host",
)


def upgrade() -> None:
    # In SQL that both databases read: Alembic would copy SQLite's table, which its foreign keys forbid.
    allowed = ", ".join(f"'{cause}'" for cause in CAUSES)
    op.execute(
        "ALTER TABLE attempts ADD COLUMN cause VARCHAR(32) "
        f"CONSTRAINT ck_attempts_cause CHECK (cause IN ({allowed}))"
    )
    op.add_column("hosts", sa.Column("clock_ahead_seconds", sa.Float(53), nullable=True))


def downgrade() -> None:
    op.execute("ALTER TABLE hosts DROP COLUMN clock_ahead_seconds")
    op.execute("ALTER TABLE attempts DROP COLUMN cause")
