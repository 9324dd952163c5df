"""Reads stored values of older and newer versions."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Value = TypeVar("Value")


def read_stored(value_type: type[Value], values: Mapping[str, Any]) -> Value:
    """Make a dataclass from stored values: the unknown is left out, what is missing has its default.

    So each field that is added to a stored dataclass needs a default, and none may change its meaning.

    Raises:
        TypeError: a field without a default is missing.
    """
    known = {field.name for field in fields(value_type)}  # type: ignore[arg-type]
    return value_type(**{name: value for name, value in values.items() if name in known})


def find_stored(value_type: type[Value], values: Mapping[str, Any]) -> Value | None:
    """The same; None where a field is missing: for what is shown and not decided by."""
    try:
        return read_stored(value_type, values)
    except TypeError:
        return None


def load_object(text: str | None) -> Mapping[str, Any]:
    """A stored JSON object; empty where it is none: for what is shown and not decided by."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
