"""Acts on each job that was named; an error with one job does not stop the others."""

from collections.abc import Callable, Sequence

from service.cli.terminal import say
from service.domain.jobs import JobId
from service.errors import CnnctlError, DatabaseUnavailable


def for_each_job(numbers: Sequence[int], act: Callable[[JobId], None]) -> None:
    """Act on each job; say what could not be done, and end with the first error's status."""
    status = 0
    for number in numbers:
        try:
            act(JobId(number))
        except DatabaseUnavailable:
            raise
        except CnnctlError as error:
            say(f"Error: {error}")
            status = status or error.exit_code
    if status:
        raise SystemExit(status)
