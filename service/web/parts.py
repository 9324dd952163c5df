"""A page is made of parts: pieces that are looked at anew while somebody has the page open."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnctl.client import Client
from cnnctl.views.access import MeView


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a part is made for: a person, and their way to the use cases."""

    client: Client
    me: MeView


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
    seconds: float = 5.0
    """After how long it is looked at anew, where nothing was said to have happened."""
    job: int | None = None
    """The job whose entries in the audit change it; None: any entry may."""


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
