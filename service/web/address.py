"""Reads what people type into addresses."""

from collections.abc import Collection, Sequence
from datetime import datetime, timezone

from starlette.datastructures import QueryParams

from service.domain.moments import is_duration, parse_moment
from service.errors import NotFound, SpecError

LONGEST = 1024  # characters of a parameter


def is_number(text: str, *, digits: int = 18) -> bool:
    """Whether a text is a whole number of at most so many digits."""
    return text.isascii() and text.isdecimal() and len(text) <= digits


def read_number(text: str, *, what: str) -> int:
    """A number in an address.

    Raises:
        NotFound: it is none that anything has.
    """
    if not is_number(text):
        raise NotFound(f"There is no {what} {text[:40]!r}")
    return int(text)


def read_moment(text: str, *, name: str) -> datetime:
    """When it was, or how long ago; a time without a zone is in UTC.

    Raises:
        SpecError: it is neither.
    """
    try:
        return parse_moment(text, ahead=False, zone=timezone.utc)
    except ValueError as error:
        raise SpecError(f"{name}: {error}") from None


def write_moment(text: str, *, ahead: bool = False) -> str:
    """A moment as the command line takes it, which would read it in the zone of its own machine."""
    try:
        return text if is_duration(text) else parse_moment(text, ahead=ahead, zone=timezone.utc).isoformat()
    except ValueError:
        return text


def read_parameter(name: str, typed: Sequence[str], *, many: Collection[str]) -> Sequence[str]:
    """What stands in a parameter, without what is empty; one of `many` may be repeated, or joined by commas.

    Raises:
        SpecError: it is too long.
    """
    if any(len(text) > LONGEST for text in typed):
        raise SpecError(f"{name} takes at most {LONGEST:,} characters")
    if name in many:
        return list(dict.fromkeys(word for text in typed for word in text.replace(",", " ").split()))
    return [text.strip() for text in typed[-1:] if text.strip()]


def check_words(name: str, words: Sequence[str], known: Sequence[str]) -> None:
    """Refuse words that a parameter does not take.

    Raises:
        SpecError: naming those that it takes.
    """
    for word in words:
        if word not in known:
            raise SpecError(f"{name} takes {', '.join(known)}. Received: {word[:40]!r}")


def check_query(query: QueryParams, known: Collection[str]) -> None:
    """Refuse what a page does not know: it would have no effect.

    Raises:
        SpecError: naming what there is.
    """
    for name in query:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise SpecError(f"There is no parameter {name[:40]!r} here. Allowed: {allowed}")
