"""Between views and JSON documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, get_args, get_origin

from cnnctl.views.shape import is_view, list_keys, split_optional

View = TypeVar("View")


def to_json(value: Any) -> Any:
    """A view, or many, as `json.dumps` takes them; moments are text in ISO 8601, to the millisecond."""
    if value is None or isinstance(value, str | int | float):
        return value
    if is_view(type(value)):
        return {key.written: to_json(getattr(value, key.name)) for key in list_keys(type(value))}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, Mapping):
        return {name: to_json(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [to_json(one) for one in value]
    return value


def from_json(view: type[View], document: Mapping[str, Any]) -> View:
    """The view of a document; keys that are not known are left out, as a newer service may have more.

    Raises:
        TypeError: a key is missing.
    """
    known = [key for key in list_keys(view) if key.written in document]
    return view(**{key.name: _read(key.kind, document[key.written]) for key in known})


def _read(kind: Any, value: Any) -> Any:
    """The value of a key, as its type wants it."""
    kind, _ = split_optional(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if value is None:
        return None
    if is_view(kind):
        return from_json(kind, value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if origin is tuple:
        return tuple(_read(part, one) for part, one in zip(parts, value, strict=True))
    if origin is Sequence:
        return tuple(_read(parts[0], one) for one in value)
    if origin is Mapping:
        return {name: _read(parts[1], one) for name, one in value.items()}
    return value
