"""Add what workers read of their GPUs, drivers and MIG instances; GPUs can be drained.

Deployment: pre (run before the new code starts).
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

BEFORE = "state IN ('available', 'quarantined')"
AFTER = "state IN ('available', 'drained', 'quarantined')"


def upgrade() -> None:
    _change_check("gpus", "ck_gpus_state", BEFORE, AFTER)
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
    _change_check("gpus", "ck_gpus_state", AFTER, BEFORE)


def _change_check(table: str, name: str, before: str, after: str) -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(name, table)
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({after})")
        return
    # As sqlite.org/lang_altertable.html, section 7, has it for constraints: no row is touched.
    find = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table")
    found = connection.execute(find, {"table": table}).scalar_one()
    assert f"CHECK ({before})" in found, f"{name} is not what an earlier revision made: {found}"
    changed = found.replace(f"CHECK ({before})", f"CHECK ({after})")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    write = sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :table")
    connection.execute(write, {"sql": changed, "table": table})
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
