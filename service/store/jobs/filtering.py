"""The conditions in SQL of a filter of jobs."""

import re
from collections.abc import Iterator

from sqlalchemy import ColumnElement, func, select

from service.db.tables import job_tags, jobs
from service.domain.job_filter import JobFilter

ESCAPE = "/"


def list_conditions(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    """What must hold of each job."""
    for column, value in (
        (jobs.c.owner, wanted.owner),
        (jobs.c.project, wanted.project),
        (jobs.c.architecture, wanted.architecture),
        (jobs.c.like_job_id, wanted.like),
    ):
        if value is not None:
            yield column == value
    if wanted.dataset is not None:
        version = jobs.c.dataset.startswith(f"{wanted.dataset}@", autoescape=True)
        yield (jobs.c.dataset == wanted.dataset) | version
    if wanted.states:
        yield jobs.c.state.in_(wanted.states)
    if wanted.since is not None:
        yield jobs.c.submitted_at >= wanted.since
    if wanted.ended_since is not None:
        yield jobs.c.ended_at >= wanted.ended_since
    for tag in wanted.tags:
        yield jobs.c.id.in_(select(job_tags.c.job_id).where(job_tags.c.tag == tag))
    if wanted.text:
        # Each text is lowered once, and both as one: ILIKE on each takes PostgreSQL almost twice as long.
        both = func.lower(jobs.c.name + "\n" + jobs.c.note)
        yield both.like(func.lower(f"%{_escape(wanted.text)}%"), escape=ESCAPE)


def _escape(text: str) -> str:
    """A text whose characters stand for themselves in LIKE."""
    return re.sub(f"[%_{ESCAPE}]", rf"{ESCAPE}\g<0>", text)
