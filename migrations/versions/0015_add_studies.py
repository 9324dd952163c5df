"""Add studies and their runs.

Deployment: stop (older code does not know what the audit says of studies).
"""

import sqlalchemy as sa
from alembic import op

from migrations.checks import change_check, choice, one_of

revision = "0015"
down_revision = "0014"

SUBJECTS = ("job", "gpu", "host", "user", "token", "hook", "dataset", "garbage")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("scale", sa.String(length=64), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("planned_seeds", sa.Integer(), nullable=False),
        sa.Column("seeds", sa.Integer(), nullable=False),
        sa.Column("priority", choice("priority", "low", "normal", "high"), nullable=False),
        sa.Column("state", choice("state", "running", "held", "finished", "cancelled"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(state IN ('running', 'held')) = (ended_at IS NULL)", name=op.f("ck_studies_ended_at_iff_ended")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sqlite_autoincrement=True,
    )
    for column in ("name", "state"):
        op.create_index(op.f(f"ix_studies_{column}"), "studies", [column], unique=False)
    op.create_table(
        "study_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("stage", choice("stage", "tune", "measure"), nullable=False),
        sa.Column("arm", sa.String(length=64), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("tuned", sa.Text(), nullable=False),
        sa.Column("training_digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_study_runs_job_id")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_study_runs_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_runs")),
        sa.UniqueConstraint("study_id", "stage", "arm", "seed", "tuned", name=op.f("uq_study_runs_study_id")),
    )
    for column in ("training_digest", "job_id"):
        op.create_index(op.f(f"ix_study_runs_{column}"), "study_runs", [column], unique=False)
    _change_subjects(SUBJECTS, (*SUBJECTS, "study"))


def downgrade() -> None:
    op.execute("DELETE FROM audit_entries WHERE subject = 'study'")
    _change_subjects((*SUBJECTS, "study"), SUBJECTS)
    op.drop_table("study_runs")
    op.drop_table("studies")


def _change_subjects(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    change_check(
        "audit_entries", "ck_audit_entries_subject", one_of("subject", before), one_of("subject", after)
    )
