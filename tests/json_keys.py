"""Compares JSON documents with the views that they are said to be: keys in their order, and types."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

from cnnctl.views.shape import is_view, list_keys, split_optional
from docs.json_shapes import DOCUMENTS

PLAIN: Mapping[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}


def check_keys(document: object, name: str) -> None:
    """Fail where a document is not what DOCUMENTS says, or has an empty list that leaves a view unseen.

    `name` is that of DOCUMENTS, or only the command's words: `status JOB`.
    """
    kind = DOCUMENTS[name if name in DOCUMENTS else f"cnnctl {name} --json"]
    seen: set[type] = set()
    check_type(document, kind, seen, at=name)
    assert seen == set(list_views(kind)), name


def check_type(document: Any, kind: Any, seen: set[type], *, at: str) -> None:
    """Fail where a document is not of a type; the views in it are added to those that were seen."""
    kind, optional = split_optional(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if document is None:
        assert optional or kind is Any, at
    elif is_view(kind):
        seen.add(kind)
        keys = list_keys(kind)
        assert list(document) == [key.written for key in keys], at
        for key in keys:
            check_type(document[key.written], key.kind, seen, at=f"{at}.{key.written}")
    elif origin is Literal:
        assert document in parts, at
    elif origin is Sequence:
        assert isinstance(document, list), at
        for one in document:
            check_type(one, parts[0], seen, at=f"{at}[]")
    elif origin is tuple:
        for one, part in zip(document, parts, strict=True):
            check_type(one, part, seen, at=f"{at}[]")
    elif origin is Mapping:
        for name, one in document.items():
            check_type(one, parts[1], seen, at=f"{at}.{name}")
    elif kind is datetime:
        assert datetime.fromisoformat(document).utcoffset() is not None, at
    elif kind is not Any:
        assert type(document) in PLAIN[kind], at


def list_views(kind: Any) -> Sequence[type]:
    """A view and those in it; of a list, those of its entries."""
    if not is_view(kind):
        return [view for part in get_args(kind) for view in list_views(part)]
    return [kind, *(view for key in list_keys(kind) for view in list_views(key.kind))]
