"""Add sums for monitoring: of ticks, of stalls for checkpoints, and of resumes that are not exact.

Deployment: pre (run before the new code starts).
"""

from alembic import op

revision = "0013"
down_revision = "0012"

ADDED = [
    ("schedulers", "ticks BIGINT DEFAULT 0 NOT NULL"),
    ("schedulers", "tick_seconds FLOAT DEFAULT 0 NOT NULL"),
    ("attempts", "exact BOOLEAN"),
    ("attempts", "stalls BIGINT DEFAULT 0 NOT NULL"),
    ("attempts", "stall_seconds FLOAT DEFAULT 0 NOT NULL"),
]


def upgrade() -> None:
    for table, definition in ADDED:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")


def downgrade() -> None:
    for table, definition in reversed(ADDED):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {definition.split()[0]}")
