"""Moments and durations: as people type them, and added without an end of the calendar."""

import re
from datetime import datetime, timedelta, timezone, tzinfo

FAR_SECONDS = 3650 * 86400.0  # ten years: whatever is further away is as good as never
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")


def add_seconds(moment: datetime, seconds: float) -> datetime:
    """The moment that many seconds later, and at most ten years later."""
    return moment + timedelta(seconds=min(seconds, FAR_SECONDS))


def is_duration(text: str) -> bool:
    """Whether somebody typed how long, as in 7d, and not when."""
    return _DURATION.fullmatch(text) is not None


def parse_duration(text: str) -> timedelta:
    """A number with a unit, as in 90s or 2h.

    Raises:
        ValueError: it is none, or too long; the message says so.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a duration. Allowed: 90s, 45m, 2h, 7d, 2w")
    try:
        return timedelta(seconds=float(found[1]) * UNITS[found[2]])
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def parse_moment(text: str, *, ahead: bool, zone: tzinfo | None = None) -> datetime:
    """A date, a date and a time, or how long from now (`ahead`) or ago, as an aware UTC datetime.

    A time without a zone is in `zone`; None: in this machine's.

    Raises:
        ValueError: it is none; the message says so.
    """
    try:
        if is_duration(text):
            span, now = parse_duration(text), datetime.now(timezone.utc)
            return now + span if ahead else now - span
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a date or time. Allowed: 2026-11-01, 2026-11-01T22:00, 7d"
        raise ValueError(message) from None
