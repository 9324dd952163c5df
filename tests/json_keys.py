"""The keys of JSON documents, and those that docs/json.md says they have."""

import re
from collections.abc import Mapping

from docs.generate import FOLDER

PAGE = (FOLDER / "json.md").read_text()
# A quoted word where a key stands: not behind a colon, and not the first of a list.
KEY = re.compile(r'(?<!: )(?<!\[)"(\w+)"(?=\s*[:,}\n])')
OPEN = frozenset({"spec", "metrics", "series"})  # keys under which are those of spec.md and metrics.md


def keys_of(document: object) -> set[str]:
    """Every key in a JSON document, but not what is under those of OPEN."""
    if isinstance(document, list):
        return {key for inner in document for key in keys_of(inner)}
    if not isinstance(document, Mapping):
        return set()
    return set(document).union(*(keys_of(value) for key, value in document.items() if key not in OPEN))


def documented(command: str, *, shape: int | None = None) -> set[str]:
    """The keys in the indented lines of a command's section; `shape` takes one of several blocks of lines."""
    named = f"`cnnctl {command} --json`"
    (section,) = [part for part in PAGE.split("\n## ") if named in part.splitlines()[0]]
    blocks = [block for block in section.split("\n\n") if block.startswith("    ")]
    chosen = blocks if shape is None else [blocks[shape]]
    return set(KEY.findall("\n".join(chosen))) - {"val_accuracy"}  # an example of a metric


def check_keys(document: object, command: str, *, shape: int | None = None) -> None:
    """Fail where a document lacks a documented key, or has one that is not documented."""
    assert keys_of(document) == documented(command, shape=shape), command
