"""Add in what environment an attempt trains.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("environment", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "environment")
