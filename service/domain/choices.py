"""Reads a word of a closed set that somebody typed."""

from enum import Enum
from typing import TypeVar

from service.errors import SpecError

Choice = TypeVar("Choice", bound=Enum)


def read_choice(kind: type[Choice], text: str, *, what: str) -> Choice:
    """The member of an enumeration with this word.

    Raises:
        SpecError: there is none; the message lists the words.
    """
    for one in kind:
        if one.value == text:
            return one
    allowed = ", ".join(str(one.value) for one in kind)
    raise SpecError(f"The {what} is one of these words. Allowed: {allowed}. Received: {text[:40]!r}")
