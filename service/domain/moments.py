"""Adds times that other people's numbers may have made endless."""

from datetime import datetime, timedelta

FAR_SECONDS = 3650 * 86400.0  # ten years: whatever is further away is as good as never


def add_seconds(moment: datetime, seconds: float) -> datetime:
    """So many seconds later, and at most ten years."""
    return moment + timedelta(seconds=min(seconds, FAR_SECONDS))
