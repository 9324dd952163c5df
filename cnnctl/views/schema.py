"""JSON Schema of the views."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from datetime import datetime
from inspect import cleandoc
from typing import Any, Literal, get_args, get_origin

from cnnctl.views.shape import is_view, list_keys, split_optional

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: Mapping[Any, Mapping[str, str]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    Any: {},
}


DEFINITIONS = "#/$defs/"


def schema(kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """One schema with a definition for each name, and for each view in its type, under the class's name.

    Objects may have more keys than the required ones: a newer service has. Its states may be more, too: an
    `enum` is what this version knows.
    """
    found: dict[str, Any] = {}
    for name, kind in kinds.items():
        found[name] = refer(kind, found)
    return {"$schema": DIALECT, "$defs": found}


def refer(
    kind: Any, found: dict[str, Any], *, to: str = DEFINITIONS, closed: bool = False
) -> Mapping[str, Any]:
    """The schema of a type; views that it names are added to what was found, and referred to under `to`.

    In `closed` ones no other key is allowed, and a key with a default may be missing.
    """
    kind, optional = split_optional(kind)
    origin, parts = get_origin(kind), get_args(kind)

    def part(one: Any) -> Mapping[str, Any]:
        return refer(one, found, to=to, closed=closed)

    if origin is Literal:
        return _list_words(parts, optional=optional)
    if optional:
        whole = part(kind)
        if "type" not in whole:
            return {"anyOf": [whole, {"type": "null"}]}
        return {**whole, "type": [whole["type"], "null"]}
    if is_view(kind):
        if kind.__name__ not in found:
            found[kind.__name__] = {}  # in its place before those that it names
            found[kind.__name__] = _describe(kind, part, closed=closed)
        return {"$ref": f"{to}{kind.__name__}"}
    if origin is tuple:
        items = [part(one) for one in parts]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is Sequence:
        return {"type": "array", "items": part(parts[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": part(parts[1])}
    return _PLAIN[kind]


def _list_words(words: Sequence[str], *, optional: bool) -> Mapping[str, Any]:
    if optional:
        return {"type": ["string", "null"], "enum": [*words, None]}
    return {"type": "string", "enum": list(words)}


def _has_default(one: Field[Any]) -> bool:
    return one.default is not MISSING or one.default_factory is not MISSING


def _describe(view: type, part: Callable[[Any], Mapping[str, Any]], *, closed: bool) -> Mapping[str, Any]:
    keys = list_keys(view)
    optional = {one.name for one in fields(view) if _has_default(one)} if closed else set()
    return {
        "type": "object",
        "description": cleandoc(view.__doc__ or ""),
        "properties": {key.written: {**part(key.kind), "description": key.sentence} for key in keys},
        "required": [key.written for key in keys if key.name not in optional],
        **({"additionalProperties": False} if closed else {}),
    }
