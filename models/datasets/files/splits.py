"""Knows the parts of a dataset by the names that people give to folders and tables."""

import re
from collections.abc import Mapping
from pathlib import Path

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_PART = re.compile(
    r"(?:(train(?:ing)?)|(val|valid|validation)|(test(?:ing)?))"
    r"(?:[-_ .]?(?:set|data|split|images|imgs|\d+))?",
    re.IGNORECASE,
)

Labelled = list[tuple[Path, str]]
Parts = Mapping[str, Labelled]  # by TRAIN, TEST and perhaps VALIDATION


_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_LIKE_PART = re.compile(
    r"(?:dev|eval|evaluation|hold[-_ ]?out|extra|unlabell?ed)(?:[-_ .]?set)?", re.IGNORECASE
)


def find_part(name: str) -> str | None:
    """Which part a folder or table of this name holds, as `Train`, `valid` or `test_set` do."""
    found = _PART.fullmatch(name)
    if not found:
        return None
    return next(part for part, word in zip((TRAIN, VALIDATION, TEST), found.groups(), strict=True) if word)


def guess_part(name: str) -> str | None:
    """Which part a name has a word for, as `seg_train` and `CarsTest` do; None where it names several."""
    parts = {find_part(word) for word in _WORD.findall(name)} - {None}
    return parts.pop() if len(parts) == 1 else None


def looks_like_part(name: str) -> bool:
    """Whether a name is usual for a part of a dataset, though not always for the same part."""
    return bool(_LIKE_PART.fullmatch(name))
