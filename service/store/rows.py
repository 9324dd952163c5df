"""Maps rows to the frozen values of the domain: columns and fields have the same names."""

from collections.abc import Container
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Column, RowMapping, Table

Value = TypeVar("Value")


def columns_of(table: Table, value_type: type[Any], *, leave_out: Container[str] = ()) -> list[Column[Any]]:
    """The columns for a domain value, in the order of its fields."""
    return [table.c[f.name] for f in fields(value_type) if f.name not in leave_out]


def to_value(value_type: type[Value], row: RowMapping, **replaced: object) -> Value:
    """Make a domain value from a row; `replaced` gives fields that are stored in another form."""
    return value_type(**{**row, **replaced})
