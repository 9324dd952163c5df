"""Which jobs a list is to show."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from service.bound import Bound
from service.domain.jobs import JobId
from service.domain.labels import clean_tags
from service.domain.states import JobState

PAGE = Bound(least=1, most=1000, why="more are shown page by page")
JOB = Bound(least=1, most=2**31 - 1, why="no job has another number")
TEXT = Bound(least=0, most=1024, why="no text that is looked for is longer")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What must hold of each job that is shown; None and empty values ask for nothing."""

    owner: str | None = None
    states: Collection[JobState] = ()
    """It is in one of these."""
    project: str | None = None
    """It is counted under this one; an empty text asks for jobs without a project."""
    tags: Collection[str] = ()
    """It has all of these."""
    architecture: str | None = None
    dataset: str | None = None
    """As it is stored: a name, or a place with its absolute path."""
    since: datetime | None = None
    """It was submitted then or later."""
    ended_since: datetime | None = None
    """It succeeded, failed or was cancelled then or later."""
    text: str = ""
    """A part of its name or note, in any case; SQLite knows the case of the letters A to Z only."""
    like: JobId | None = None
    """It was made like this one."""


ALL_JOBS = JobFilter()


def clean_filter(given: JobFilter) -> JobFilter:
    """The filter with its tags as they are stored.

    Raises:
        SpecError: a text is too long, a tag is none, or no job can have the number.
    """
    JOB.check("like", given.like)
    for name in ("owner", "project", "architecture", "dataset", "text"):
        TEXT.check(name, getattr(given, name))
    return replace(given, tags=clean_tags(given.tags))
