"""What doctor says: one finding for each thing that it looked at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    `remedy` says what to do and is empty when all is well; `itself` says what happens if nobody does it.
    """

    subject: str
    found: str
    remedy: str = ""
    itself: str = ""


def guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; that it breaks is a finding too."""
    try:
        yield from check()
    except Exception as error:  # whatever is wrong with it is what doctor is for
        yield Finding(subject=subject, found=f"{type(error).__name__}: {error}", remedy="see the message")
