"""Add names, tags and notes of jobs, which job one was made like, and indexes to look jobs up by.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

from migrations.checks import add_foreign_key, drop_foreign_key

revision = "0011"
down_revision = "0010"

ADDED = ["name VARCHAR(255) DEFAULT '' NOT NULL", "note TEXT DEFAULT '' NOT NULL", "like_job_id INTEGER"]
INDEXED = [("owner", "id"), ("project", "id"), ("submitted_at",), ("like_job_id",)]


def upgrade() -> None:
    for definition in ADDED:
        op.execute(f"ALTER TABLE jobs ADD COLUMN {definition}")
    add_foreign_key("jobs", "like_job_id", to="jobs (id)")
    for columns in INDEXED:
        op.create_index(op.f(f"ix_jobs_{columns[0]}"), "jobs", columns, unique=False)
    op.create_table(
        "job_tags",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_tags_job_id")),
        sa.PrimaryKeyConstraint("job_id", "tag", name=op.f("pk_job_tags")),
    )
    op.create_index(op.f("ix_job_tags_tag"), "job_tags", ["tag", "job_id"], unique=False)


def downgrade() -> None:
    op.drop_table("job_tags")
    for columns in INDEXED:
        op.drop_index(op.f(f"ix_jobs_{columns[0]}"), "jobs")
    drop_foreign_key("jobs", "like_job_id", to="jobs (id)")
    for definition in reversed(ADDED):
        op.execute(f"ALTER TABLE jobs DROP COLUMN {definition.split()[0]}")
