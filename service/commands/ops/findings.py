"""Turns an error in a check into a finding."""

from collections.abc import Callable, Iterable, Iterator

from cnnctl.views.ops import Finding


def guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; an error in it is a finding too."""
    try:
        yield from check()
    except Exception as error:  # doctor reports every error, and goes on
        yield Finding(subject=subject, found=f"{type(error).__name__}: {error}", remedy="see the message")
