"""Add when a waiting job will start, as the scheduler guesses.

Deployment: pre (run before the new code starts).
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    moment = "DATETIME" if op.get_bind().dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
    op.execute(f"ALTER TABLE jobs ADD COLUMN estimated_start_at {moment}")


def downgrade() -> None:
    op.execute("ALTER TABLE jobs DROP COLUMN estimated_start_at")
