"""Call a request to stop an attempt by that name; give a host's standing a column of its own.

Deployment: stop (no older code may run beside it).
"""

from alembic import op

from migrations.checks import one_of, rename_check

revision = "0008"
down_revision = "0007"

USUAL = "registered"
# Until now it stood before the worker's name, with a colon; where it was the usual one, nothing did.
OTHERS = ("reserved", "disk_full", "unanswering", "removed")


def upgrade() -> None:
    op.execute("ALTER TABLE attempts RENAME COLUMN wish TO stop_request")
    op.execute("ALTER TABLE attempts RENAME COLUMN wish_reason TO stop_reason")
    rename_check("attempts", "ck_attempts_wish", "ck_attempts_stop_request")
    allowed = one_of("standing", (USUAL, *OTHERS))
    op.execute(
        f"ALTER TABLE hosts ADD COLUMN standing VARCHAR(32) DEFAULT '{USUAL}' NOT NULL "
        f"CONSTRAINT ck_hosts_standing CHECK ({allowed})"
    )
    for standing in OTHERS:
        length = len(standing) + 1
        op.get_bind().exec_driver_sql(
            f"UPDATE hosts SET standing = '{standing}', worker = substr(worker, {length + 1}) "
            f"WHERE substr(worker, 1, {length}) = '{standing}:'"
        )


def downgrade() -> None:
    op.get_bind().exec_driver_sql(
        f"UPDATE hosts SET worker = standing || ':' || worker WHERE standing <> '{USUAL}'"
    )
    op.execute("ALTER TABLE hosts DROP COLUMN standing")
    rename_check("attempts", "ck_attempts_stop_request", "ck_attempts_wish")
    op.execute("ALTER TABLE attempts RENAME COLUMN stop_reason TO wish_reason")
    op.execute("ALTER TABLE attempts RENAME COLUMN stop_request TO wish")
