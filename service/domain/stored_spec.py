"""Reads stored specs of older and newer versions as trees: without pydantic, which takes 0.1 s to import."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

SCHEMA_VERSION = 1
MADE_BY_NEWER = "made by a newer cnnctl"  # the beginning of the reason of a job that waits for an upgrade

Tree = Mapping[str, Any]

# By dotted path, what a stored spec means that lacks a field added since 5082cc5. Never change one.
ADDED: Mapping[str, object] = {
    "data.train_fraction": 1.0,
    "data.keep": "all",
    "optimizer.max_norm": 0.0,
    "training.ten_crop": False,
}

# By version, the upgrade of its tree to the next version. Never change one: specs are kept for ever.
UPGRADES: dict[int, Callable[[Tree], Tree]] = {}


def load_spec_tree(text: str) -> Tree:
    """A stored spec in the shape of this version; one of a newer version as it is."""
    tree: Tree = json.loads(text)
    version = tree.get("schema_version", SCHEMA_VERSION)
    while version in UPGRADES:
        tree = {**UPGRADES[version](tree), "schema_version": version + 1}
        version += 1
    return tree


def read_values(tree: Tree) -> dict[str, object]:
    """Every value of a spec's tree by its dotted path, also of fields that were added after it was stored."""
    return {**ADDED, **dict(list_values(tree))}


def list_values(tree: Tree, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a spec's tree with its dotted path, in order."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from list_values(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
