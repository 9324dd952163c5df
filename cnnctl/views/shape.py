"""How a view is declared: a frozen dataclass with a sentence for each field, from which the rest is derived.

A field is `name: Annotated[type, "sentence"]`. The type is text, a `Literal` of words, a number, a
truth value, a moment, another view, a `Sequence`, a `Mapping` by text, a pair, or None besides one of these.
A name that Python keeps for itself ends with `_`, which its key has not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A field of a view, as its key in JSON."""

    name: str
    """The field's."""
    kind: Any
    """Its type, without the sentence."""
    sentence: str

    @property
    def written(self) -> str:
        return self.name.removesuffix("_")


def is_view(kind: object) -> TypeGuard[type]:
    """Whether a type is a view."""
    return isinstance(kind, type) and is_dataclass(kind)


def list_keys(view: type) -> Sequence[Key]:
    """The keys of a view, in their order."""
    return _read_keys(view)


def split_optional(kind: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was part of it."""
    if get_origin(kind) not in (UnionType, Union):
        return kind, False
    (other,) = [one for one in get_args(kind) if one is not NoneType]
    return other, True


@cache  # a list of jobs has thousands of one view
def _read_keys(view: type) -> Sequence[Key]:
    found = []
    for name, hint in get_type_hints(view, include_extras=True).items():
        kind, sentence = get_args(hint)
        found.append(Key(name=name, kind=kind, sentence=sentence))
    return found
