"""Adds durations that come from people's numbers and may be huge."""

from datetime import datetime, timedelta

FAR_SECONDS = 3650 * 86400.0  # ten years: whatever is further away is as good as never


def add_seconds(moment: datetime, seconds: float) -> datetime:
    """The moment that many seconds later, and at most ten years later."""
    return moment + timedelta(seconds=min(seconds, FAR_SECONDS))
