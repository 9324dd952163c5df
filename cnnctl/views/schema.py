"""JSON Schema of the views."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from inspect import cleandoc
from typing import Any, Literal, get_args, get_origin

from cnnctl.views.shape import Key, is_view, list_keys, split_optional

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: Mapping[Any, Mapping[str, str]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    Any: {},
}


def schema(kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """One schema with a definition for each name, and for each view in its type, under the class's name.

    Objects may have more keys than the required ones: a newer service has. Its states may be more, too: an
    `enum` is what this version knows.
    """
    found: dict[str, Any] = {}
    for name, kind in kinds.items():
        found[name] = _refer(kind, found)
    return {"$schema": DIALECT, "$defs": found}


def _refer(kind: Any, found: dict[str, Any]) -> Mapping[str, Any]:
    """The schema of a type; views that it names are added to what was found."""
    kind, optional = split_optional(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _list_words(parts, optional=optional)
    if optional:
        plain = _PLAIN[kind]
        return {**plain, "type": [plain["type"], "null"]}
    if is_view(kind):
        if kind.__name__ not in found:
            found[kind.__name__] = {}  # in its place before those that it names
            found[kind.__name__] = _describe(kind, found)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is tuple:
        items = [_refer(part, found) for part in parts]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is Sequence:
        return {"type": "array", "items": _refer(parts[0], found)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _refer(parts[1], found)}
    return _PLAIN[kind]


def _list_words(words: Sequence[str], *, optional: bool) -> Mapping[str, Any]:
    if optional:
        return {"type": ["string", "null"], "enum": [*words, None]}
    return {"type": "string", "enum": list(words)}


def _describe(view: type, found: dict[str, Any]) -> Mapping[str, Any]:
    keys = list_keys(view)
    return {
        "type": "object",
        "description": cleandoc(view.__doc__ or ""),
        "properties": {key.written: _describe_key(key, found) for key in keys},
        "required": [key.written for key in keys],
    }


def _describe_key(key: Key, found: dict[str, Any]) -> Mapping[str, Any]:
    return {**_refer(key.kind, found), "description": key.sentence}
