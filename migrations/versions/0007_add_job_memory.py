"""Add how much memory a job needs on each of its GPUs, as predicted at its submission.

Deployment: pre (run before the new code starts).
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN memory_mib INTEGER")
    op.execute("ALTER TABLE jobs ADD COLUMN ample_memory_mib INTEGER")


def downgrade() -> None:
    op.execute("ALTER TABLE jobs DROP COLUMN ample_memory_mib")
    op.execute("ALTER TABLE jobs DROP COLUMN memory_mib")
