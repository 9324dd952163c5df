"""Let the audit tell of links and of browser sessions.

Deployment: pre (run before the new code starts).
"""

from alembic import op

from migrations.checks import change_check, one_of

revision = "0016"
down_revision = "0015"

BEFORE = ("job", "gpu", "host", "user", "token", "hook", "dataset", "garbage", "study")
ADDED = ("link", "session")


def upgrade() -> None:
    _change_subjects(BEFORE, (*BEFORE, *ADDED))


def downgrade() -> None:
    op.execute(f"DELETE FROM audit_entries WHERE {one_of('subject', ADDED)}")
    _change_subjects((*BEFORE, *ADDED), BEFORE)


def _change_subjects(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    change_check(
        "audit_entries", "ck_audit_entries_subject", one_of("subject", before), one_of("subject", after)
    )
