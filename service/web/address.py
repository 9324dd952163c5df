"""Reads what people type into addresses."""

from collections.abc import Collection

from starlette.datastructures import QueryParams

from service.errors import NotFound, SpecError


def read_number(text: str, *, what: str) -> int:
    """A number in an address.

    Raises:
        NotFound: it is none that anything has.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise NotFound(f"There is no {what} {text[:40]!r}")
    return int(text)


def check_query(query: QueryParams, known: Collection[str]) -> None:
    """Refuse what a page does not know: it would have no effect.

    Raises:
        SpecError: naming what there is.
    """
    for name in query:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise SpecError(f"There is no parameter {name[:40]!r} here. Allowed: {allowed}")
