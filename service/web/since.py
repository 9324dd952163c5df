"""Windows of time in addresses: how long ago, as in 7d, or since when."""

from collections.abc import Mapping
from datetime import datetime

from service.domain.moments import is_duration
from service.web.address import read_moment

WINDOWS: Mapping[str, str] = {"1d": "day", "7d": "7 days", "30d": "30 days", "365d": "year"}


def read_since(text: str) -> datetime:
    """When a window begins; it moves with the clock where it is as long as somebody typed.

    Raises:
        SpecError: it is neither a duration nor a moment.
    """
    return read_moment(text, name="since")


def name_since(text: str) -> str:
    """As in `of the last 7 days`, or `since 2026-11-01`."""
    if is_duration(text):
        return f"of the last {WINDOWS.get(text, text)}"
    return f"since {text}"
