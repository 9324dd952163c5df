"""Follows a job: its log as it grows, its progress until it has ended."""

import time
from collections.abc import Iterator

from cnnctl.client import Client

POLL_SECONDS = 0.5


def read_whole_log(client: Client, job: int) -> Iterator[str]:
    """What a job's newest attempt has written so far, in parts."""
    attempt = start = 0
    while True:
        part = client.read_log(job, attempt=attempt, start=start)
        yield part.text
        if part.finished or not part.text or part.next <= start:
            return
        attempt, start = part.attempt, part.next


def follow_log(client: Client, job: int) -> Iterator[str]:
    """What is new in the log until the job ends."""
    attempt = start = 0
    shown = ""
    while True:
        part = client.read_log(job, attempt=attempt, start=start)
        if part.continues or part.attempt != attempt or not shown:
            new = part.text
        else:
            new = _after_overlap(shown, part.text)
        shown = part.text or shown
        attempt, start = part.attempt, part.next
        if new:
            yield new
        if part.finished:
            return
        if not (new and part.continues):  # else there may be more already
            time.sleep(POLL_SECONDS)


def _after_overlap(shown: str, text: str) -> str:
    """What comes after the last line that was shown, where the service keeps only the end of a log."""
    if text.startswith(shown):
        return text.removeprefix(shown)
    last_line = shown.rstrip("\n").rpartition("\n")[2]
    _, found, rest = text.rpartition(last_line + "\n")
    return rest if found and last_line else text
