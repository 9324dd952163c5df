"""Reads stored values of older and newer versions."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Value = TypeVar("Value")


def read_stored(value_type: type[Value], values: Mapping[str, Any]) -> Value:
    """Make a dataclass from stored values: unknown keys are left out, missing ones have their default.

    So each field that is added to a stored dataclass needs a default, and none may change its meaning.

    Raises:
        TypeError: a field without a default is missing.
    """
    known = {field.name for field in fields(value_type)}  # type: ignore[arg-type]
    return value_type(**{name: value for name, value in values.items() if name in known})


def find_stored(value_type: type[Value], values: Mapping[str, Any]) -> Value | None:
    """As `read_stored`, or None if a field is missing: for values that are shown and decide nothing."""
    try:
        return read_stored(value_type, values)
    except TypeError:
        return None


def load_object(text: str | None) -> Mapping[str, Any]:
    """A stored JSON object, empty if the text is none: for values that are shown and decide nothing."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
