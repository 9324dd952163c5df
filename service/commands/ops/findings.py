"""What doctor says of a check that breaks."""

from collections.abc import Callable, Iterable, Iterator

from cnnctl.views.ops import Finding


def guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; that it breaks is a finding too."""
    try:
        yield from check()
    except Exception as error:  # whatever is wrong with it is what doctor is for
        yield Finding(subject=subject, found=f"{type(error).__name__}: {error}", remedy="see the message")
