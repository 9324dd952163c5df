"""Reads a study from TOML, in which fields of the spec are given by dotted paths."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from service.domain.studies.definition import Definition, make_definition
from service.domain.studies.rules import check_definition
from service.errors import SpecError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_BYTES = 256 * 1024


def read_definition(text: str) -> Definition:
    """Read a study from TOML.

    Raises:
        SpecError: it is no TOML, a field is unknown or wrong, or fields do not fit each other.
    """
    if len(text) > LARGEST_BYTES:
        raise SpecError(f"A study file has at most {LARGEST_BYTES:,} bytes. Received: {len(text):,}")
    try:
        tree = _flatten_fields(tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError, too
        raise SpecError(f"This is no study file, which is TOML: {str(error)[:200]}") from None
    definition = make_definition(tree)
    check_definition(definition)
    return definition


def _flatten_fields(tree: dict[str, Any]) -> dict[str, Any]:
    """Join the tables of fields to dotted paths: TOML reads `model.norm = "lrn"` as a table in a table."""

    def flatten(node: dict[str, Any], name: str) -> None:
        if isinstance(node.get(name), dict):
            node[name] = dict(_join(node[name]))

    flatten(tree, "base")
    for arm in _list_tables(tree.get("arms")):
        flatten(tree["arms"], arm)
    if isinstance(tune := tree.get("tune"), dict):
        flatten(tune, "grid")
    for scale in _list_tables(tree.get("scales")):
        flatten(tree["scales"][scale], "base")
        flatten(tree["scales"][scale], "grid")
    return tree


def _list_tables(node: object) -> Sequence[str]:
    return [name for name, value in node.items() if isinstance(value, dict)] if isinstance(node, dict) else []


def _join(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from _join(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
