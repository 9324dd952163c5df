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


def find_part(name: str) -> str | None:
    """Which part a folder or table of this name holds, as `Train`, `valid` or `test_set` do."""
    found = _PART.fullmatch(name)
    if not found:
        return None
    return next(part for part, word in zip((TRAIN, VALIDATION, TEST), found.groups(), strict=True) if word)
