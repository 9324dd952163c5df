"""Goes through lists of jobs page by page."""

from collections.abc import Iterator

from cnnctl.client import Client
from cnnctl.views.jobs import JobSummary
from cnnctl.views.requests import JobQuery, JobSort


def list_all_jobs(
    client: Client, query: JobQuery, *, page: int, sort: JobSort = "newest"
) -> Iterator[JobSummary]:
    """All jobs for which a query holds, in an order; so many are asked for at once."""
    before: int | None = None
    while True:
        found = client.list_jobs(query, limit=page, before=before, sort=sort)
        yield from found.items
        before = found.next
        if before is None:
            return
