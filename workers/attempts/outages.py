"""Retries while the database cannot be reached."""

import time
from collections.abc import Callable
from typing import TypeVar

from service.errors import DatabaseUnavailable

PAUSE_SECONDS = 1.0

Result = TypeVar("Result")


def retry_until_available(act: Callable[[], Result]) -> Result:
    """Do something with SQL, again and again until the database can be reached."""
    while True:
        try:
            return act()
        except DatabaseUnavailable:
            time.sleep(PAUSE_SECONDS)
