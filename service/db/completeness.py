"""Finds what a database lacks of the migrations' work, as after a restore that did not finish."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Inspector, Table, UniqueConstraint, inspect

from service.db.partial_indexes import PARTIAL_INDEXES
from service.db.tables import metadata

MOST_NAMED = 3


def list_missing(connection: Connection) -> list[str]:
    """List what a database at the newest revision lacks, each with its kind."""
    found = inspect(connection)
    names = set(found.get_table_names())
    missing = [f"table {name}" for name in sorted(metadata.tables.keys() - names)]
    rules = _list_rules(found)
    for table in metadata.sorted_tables:
        if table.name in names:
            columns = {column["name"] for column in found.get_columns(table.name)}
            missing += [f"column {c}" for c in table.columns if c.name not in columns]
            missing += [rule for rule in _needed_rules(table, connection.dialect.name) if rule not in rules]
    return missing


def has_some_table(connection: Connection) -> bool:
    """Whether any cnnctl table exists, at any revision."""
    return not metadata.tables.keys().isdisjoint(inspect(connection).get_table_names())


def name_some(missing: list[str]) -> str:
    """Name the first few, and count the rest."""
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    return ", ".join(missing[:MOST_NAMED]) + more


def _needed_rules(table: Table, dialect: str) -> Iterator[str]:
    for key in table.foreign_key_constraints:
        yield f"foreign key {key.name}"
    for name in {*(index.name for index in table.indexes), *PARTIAL_INDEXES.get(table.name, ())}:
        yield f"index {name}"
    if dialect == "postgresql":  # SQLite keeps these in the definition of the table
        yield f"primary key {table.primary_key.name}"
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint):
                yield f"index {constraint.name}"


def _list_rules(found: Inspector) -> set[str]:
    """Foreign keys, indexes and primary keys, which a restore makes last."""
    kinds: dict[str, Any] = {
        "foreign key": found.get_multi_foreign_keys(),
        "index": found.get_multi_indexes(),
        "primary key": {key: [rule] for key, rule in found.get_multi_pk_constraint().items()},
    }
    return {f"{kind} {rule['name']}" for kind, rules in kinds.items() for of in rules.values() for rule in of}
