"""Goes through lists of jobs page by page."""

from collections.abc import Iterator

from cnnctl.client import Client
from cnnctl.views.jobs import JobSummary
from cnnctl.views.requests import JobQuery


def list_all_jobs(client: Client, query: JobQuery, *, page: int) -> Iterator[JobSummary]:
    """All jobs for which a query holds, the newest first; so many are asked for at once."""
    before: int | None = None
    while True:
        found = client.list_jobs(query, limit=page, before=before)
        yield from found.items
        before = found.next
        if before is None:
            return
