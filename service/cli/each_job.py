"""Acts on each job that was named; an error with one job does not stop the others."""

from collections.abc import Callable, Sequence

from service.cli.terminal import say
from service.errors import CnnctlError, ServiceUnavailable


def for_each_job(numbers: Sequence[int], act: Callable[[int], None]) -> None:
    """Act on each job; say what could not be done, and end with the first error's status."""
    status = 0
    for number in numbers:
        try:
            act(number)
        except ServiceUnavailable:
            raise
        except CnnctlError as error:
            say(f"Error: {error}")
            status = status or error.exit_code
    if status:
        raise SystemExit(status)
