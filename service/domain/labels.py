"""What people call a job and write about it. No part of the spec: labels can be changed at any time."""

import re
import reprlib
from collections.abc import Collection
from dataclasses import dataclass

from service.bound import Bound
from service.errors import SpecError

NAME = Bound(least=0, most=255, why="it is shown in a table")
TAGS = Bound(least=0, most=20, why="they are shown in one line")
NOTE = Bound(least=0, most=10_000, why="longer texts belong into a file", many_lines=True)
TAG = re.compile(r"[a-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of a job; the defaults say nothing of it."""

    name: str = ""
    """One line."""
    tags: tuple[str, ...] = ()
    """In the order of the alphabet, each once."""
    note: str = ""
    """Any number of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChanges:
    """What is to be changed of a job's labels; None leaves a text as it is, and an empty one removes it."""

    name: str | None = None
    note: str | None = None
    add_tags: Collection[str] = ()
    remove_tags: Collection[str] = ()


NO_LABELS = Labels()


def clean_labels(labels: Labels) -> Labels:
    """Labels as they are stored: tags in lower case and in order, line ends as Unix has them.

    Raises:
        SpecError: one is too long, has characters that it may not have, or there are too many tags.
    """
    name, note = labels.name.strip(), labels.note.replace("\r\n", "\n")
    NAME.check("name", name)
    NOTE.check("note", note)
    return Labels(name=name, tags=clean_tags(labels.tags), note=note)


def clean_tags(tags: Collection[str]) -> tuple[str, ...]:
    """Tags in lower case and in order, each once.

    Raises:
        SpecError: one has characters that no tag has, or there are too many.
    """
    lower = sorted({tag.lower() for tag in tags})
    for tag in lower:
        if not TAG.fullmatch(tag):
            raise SpecError(
                "A tag has 1 to 64 letters a-z, digits and the signs . _ and -, as in baseline or seed-3. "
                f"Received: {reprlib.repr(tag)}"
            )
    TAGS.check("tags", lower)
    return tuple(lower)


def change(labels: Labels, changes: LabelChanges) -> Labels:
    """The labels after the changes, as they are stored.

    Raises:
        SpecError: as `clean_labels`; or a tag is to be removed that is not there, or is to be added, too.
    """
    added, removed = set(clean_tags(changes.add_tags)), set(clean_tags(changes.remove_tags))
    if both := added & removed:
        raise SpecError(f"Tags can be added or removed, not both. Received: {', '.join(sorted(both))}")
    if missing := removed - set(labels.tags):
        there = ", ".join(labels.tags) or "none"
        raise SpecError(f"The job has no tag {', '.join(sorted(missing))}. Its tags: {there}")
    return clean_labels(
        Labels(
            name=labels.name if changes.name is None else changes.name,
            tags=tuple(added.union(labels.tags) - removed),
            note=labels.note if changes.note is None else changes.note,
        )
    )
