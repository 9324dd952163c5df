"""A page is made of parts: pieces that are looked at anew while somebody has the page open."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cnnctl.client import Client
from cnnctl.views.access import AuditView, HealthView, MeView
from cnnctl.views.fleet import GpuView
from cnnctl.views.jobs import JobView, ProgressView
from cnnctl.views.states import Subject

View = TypeVar("View")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a part is made for: a person, and their way to the use cases."""

    client: Client
    me: MeView
    seen: dict[Hashable, Any] = field(default_factory=dict)
    """What was asked already and is the same for everybody."""

    def get_job(self, number: int) -> JobView:
        """A job's view, which several parts of a page ask for.

        Raises:
            JobNotFound: there is no such job.
        """
        return self.once(("job", number), lambda: self.client.get_job(number))

    def list_gpus(self) -> Sequence[GpuView]:
        """All GPUs."""
        return self.once("gpus", self.client.list_gpus)

    def get_health(self) -> HealthView:
        """Whether the service is there to do the work."""
        return self.once("health", self.client.get_health)

    def get_progress(self, number: int) -> ProgressView:
        """How a job comes along.

        Raises:
            JobNotFound: there is no such job.
        """
        return self.once(("progress", number), lambda: self.client.get_progress(number))

    def may_change(self, owner: str) -> bool:
        """Whether the person may act on somebody's jobs; what is refused, use cases say."""
        return self.me.scope != "read" and (self.me.administrator or self.me.name == owner)

    def once(self, key: Hashable, ask: Callable[[], View]) -> View:
        """What several parts ask for, which depends on the key alone and not on the person."""
        if key not in self.seen:
            self.seen[key] = ask()
        view: View = self.seen[key]
        return view


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a page; people who look at the same part share what is made of it."""

    name: str
    """Of its element, and of its template beside that of the page."""
    look: Callable[[Visit], Any]
    """Its view: all that the template needs."""
    about: Hashable = None
    """What its view depends on, besides the person where it is personal: as the number of a job."""
    personal: bool = False
    seconds: float | Callable[[Visit], float] = 5.0
    """After how long it is looked at anew, where nothing was said to have happened; asked at each look."""
    concerns: Callable[[AuditView, Any], bool] = lambda entry, view: True
    """Whether an entry of the audit may have changed what was last looked at."""

    def get_seconds(self, visit: Visit) -> float:
        """After how long it is looked at anew, by what was just seen."""
        return self.seconds(visit) if callable(self.seconds) else self.seconds


def about_job(number: int) -> Callable[[AuditView, Any], bool]:
    """Whether an entry is about a job."""
    return lambda entry, _: entry.job == number


def about_subjects(*subjects: Subject) -> Callable[[AuditView, Any], bool]:
    """Whether an entry is about one of these."""
    return lambda entry, _: entry.subject in subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What stands at an address."""

    title: str
    template: str
    """Its folder of templates, and its page's own: `now` is `now.html` and `now/PART.html`."""
    parts: Sequence[Part]
    command: str
    """The command line that says the same."""
    section: str = ""
    """Which link of the head is marked."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the page's own template needs, and no part."""
