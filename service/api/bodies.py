"""Reads what clients send: JSON without surprises, then exactly the fields of a view."""

import json
import math
from functools import cache
from typing import Any, NoReturn, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from cnnctl.views.shape import list_keys
from service.errors import SpecError

View = TypeVar("View")
MOST_DEEP = 50  # lists and objects within each other


def read_body(view: type[View], body: bytes) -> tuple[View, frozenset[str]]:
    """What was sent, and which fields of it were given.

    Raises:
        SpecError: it is no JSON object, or too deep.
        RequestValidationError: a field is unknown, missing, or not what it must be.
    """
    document = _parse(body)
    try:
        adapter: TypeAdapter[Any] = _adapter(view)  # type: ignore[arg-type]
        found = adapter.validate_json(body or b"{}")
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None
    values = {key.name: getattr(found, key.name) for key in list_keys(view)}
    return view(**values), frozenset(document)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}", parse_constant=_refuse, parse_float=_read_float)
    except RecursionError:
        raise SpecError(f"the request is deeper than {MOST_DEEP} levels") from None
    except ValueError as error:
        raise SpecError(f"the request is no JSON: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise SpecError("the request must be one JSON object")
    _check_depth(document, MOST_DEEP)
    return document


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _read_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text[:20])


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not left:
        raise SpecError(f"the request is deeper than {MOST_DEEP} levels")
    for one in value.values() if isinstance(value, dict) else value:
        _check_depth(one, left - 1)


@cache
def _adapter(view: type[Any]) -> TypeAdapter[Any]:
    """Takes no unknown field, and no text for a number."""
    return TypeAdapter(validated(view, frozen=True, config=ConfigDict(extra="forbid", strict=True)))
