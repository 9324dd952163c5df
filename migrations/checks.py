"""Rules for what a column may hold, for migrations: declared, and changed where a table is there already."""

import sqlalchemy as sa
from alembic import op


def choice(name: str, *values: str) -> sa.Enum:
    """A text column that a CHECK constraint holds to these values."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The condition of such a constraint, as both databases keep it."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def change_check(table: str, name: str, before: str, after: str) -> None:
    """Replace the condition of a CHECK constraint.

    SQLite cannot: its stored table definition is rewritten, as sqlite.org/lang_altertable.html, section 7,
    has it for constraints. No row is touched.
    """
    if not is_sqlite():
        op.drop_constraint(name, table)
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({after})")
        return
    _rewrite_definition(table, f"CHECK ({before})", f"CHECK ({after})")


def rename_check(table: str, name: str, new: str) -> None:
    """Rename a CHECK constraint; in SQLite as `change_check` does."""
    if not is_sqlite():
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO {new}")
        return
    _rewrite_definition(table, f"CONSTRAINT {name} ", f"CONSTRAINT {new} ")


def add_foreign_key(table: str, column: str, *, to: str) -> None:
    """Let a column refer to another table's, as in `jobs (id)`; in SQLite as `change_check` does."""
    if not is_sqlite():
        op.execute(f"ALTER TABLE {table} ADD {_foreign_key(table, column, to)}")
        return
    _rewrite_definition(table, "\n)", f", \n\t{_foreign_key(table, column, to)}\n)")


def drop_foreign_key(table: str, column: str, *, to: str) -> None:
    """Undo `add_foreign_key`."""
    if not is_sqlite():
        op.drop_constraint(f"fk_{table}_{column}", table)
        return
    _rewrite_definition(table, f", \n\t{_foreign_key(table, column, to)}", "")


def _foreign_key(table: str, column: str, to: str) -> str:
    return f"CONSTRAINT fk_{table}_{column} FOREIGN KEY({column}) REFERENCES {to}"


def _rewrite_definition(table: str, before: str, after: str) -> None:
    connection = op.get_bind()
    find = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table")
    found = connection.execute(find, {"table": table}).scalar_one()
    assert before in found, f"{before} is not what an earlier revision made: {found}"
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    write = sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :table")
    connection.execute(write, {"sql": found.replace(before, after), "table": table})
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
