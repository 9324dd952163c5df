"""The common parts of the sections of a spec: their rules, their fields, and messages about a bad value.

A section is a pydantic model, or a frozen dataclass where the library of networks has a class for it.
"""

import dataclasses
import reprlib
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """Common rules: frozen, no unknown field, no silent conversion, no NaN and no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def list_fields(section: type[Any]) -> Mapping[str, FieldInfo]:
    """Every field of a section that can be given, by name, in order."""
    if issubclass(section, BaseModel):
        return section.model_fields
    kinds = get_type_hints(section)
    return {
        field.name: FieldInfo.from_annotated_attribute(kinds[field.name], field)
        for field in dataclasses.fields(section)
        if field.init
    }


def find_section(field: FieldInfo) -> type[Any] | None:
    """The section that a field holds; None where it holds a value."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and _is_section(kind)), None)


def _is_section(kind: type) -> bool:
    return issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)


def explain(detail: Mapping[str, Any]) -> str:
    """Say what is wrong with which field, from one detail of a ValidationError."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])  # one of our own checks, which names the field itself
    path, message = ".".join(map(str, detail["loc"])), str(detail["msg"])
    return f"{path}: {message[0].lower()}{message[1:]}. Received: {reprlib.repr(detail['input'])}"
