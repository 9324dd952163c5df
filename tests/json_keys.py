"""The keys of JSON documents, and those that docs/json.md says they have, by path: `attempts.state`."""

import re
from collections.abc import Iterator, Mapping

from docs.generate import FOLDER

PAGE = (FOLDER / "json.md").read_text()
# Of a shape: a brace, or a quoted word where a key stands: not behind a colon, and not the first of a list.
TOKEN = re.compile(r'[{}]|(?<!: )(?<!\[)"(\w+)"(?=\s*[:,}\n])')
OPEN = frozenset({"spec", "metrics", "series"})  # keys under which are those of spec.md and metrics.md


def keys_of(document: object, *, under: str = "") -> set[str]:
    """Every key in a JSON document, but not what is under those of OPEN."""
    if isinstance(document, list):
        return {key for inner in document for key in keys_of(inner, under=under)}
    if not isinstance(document, Mapping):
        return set()
    found = {f"{under}{key}" for key in document}
    return found.union(*(keys_of(v, under=f"{under}{k}.") for k, v in document.items() if k not in OPEN))


def documented(command: str, *, shape: int | None = None) -> set[str]:
    """The keys in the indented lines of a command's section; `shape` takes one of several blocks of lines."""
    named = f"`cnnctl {command} --json`"
    (section,) = [part for part in PAGE.split("\n## ") if named in part.splitlines()[0]]
    blocks = [block for block in section.split("\n\n") if block.startswith("    ")]
    chosen = blocks if shape is None else [blocks[shape]]
    return {key for block in chosen for key in _keys_in(block)}


def check_keys(document: object, command: str, *, shape: int | None = None) -> None:
    """Fail where a document lacks a documented key, or has one that is not documented."""
    assert keys_of(document) == documented(command, shape=shape), command


def _keys_in(shape: str) -> Iterator[str]:
    """The keys of a shape; a word outside of all braces is a remark."""
    around: list[str] = []
    key = ""
    for token in TOKEN.finditer(f"{shape}\n"):
        if token[0] == "{":
            around.append(key if around else "")
        elif token[0] == "}":
            around.pop()
        elif around:
            key = token[1]
            if not OPEN & set(around):
                yield ".".join([*filter(None, around), key])
