"""The page of people: who used how much, what each may have, and one's own tokens and hooks."""

import shlex
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import accumulate
from typing import Any

from starlette.datastructures import QueryParams

from cnnctl.views.access import TokenView
from cnnctl.views.people import HookView, UsageView, UserView
from cnnctl.views.states import Subject
from service.domain.people import User, by_token
from service.domain.states import Occasion, Scope
from service.web.acting import make_key
from service.web.address import check_query
from service.web.day_bars import DayBars, draw_days
from service.web.parts import Page, Part, Visit, about_subjects
from service.web.since import WINDOWS, name_since, read_since

WEEK = "7d"
SECONDS = 30.0  # after which the hours are counted anew
WIDTH = 1000.0  # of the longest bar, in its own units
PERCENT = 100.0


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address says since when GPU-hours count."""
    check_query(query, ("since", "change"))
    since, changed = query.get("since") or WEEK, query.get("change", "")
    read_since(since)
    may_change = visit.me.administrator

    def part(name: str, look: Callable[[Visit], Any], subject: Subject, about: Hashable = since) -> Part:
        concerns = about_subjects(subject)
        personal = subject != "user"
        return Part(name=name, look=look, about=about, personal=personal, seconds=SECONDS, concerns=concerns)

    form = Part(
        name="change",
        look=lambda one: Change(user=get_user(one, changed), since=since),
        about=(since, changed),
        seconds=SECONDS,
    )
    return Page(
        title="People",
        template="people",
        section="People",
        command=f"cnnctl usage --since {shlex.quote(since)}; cnnctl users; "
        "cnnctl token list; cnnctl notify list",
        parts=[
            part("line", lambda one: get_line(one, since), "user"),
            part(
                "table",
                lambda one: list_people(one, since, may_change=may_change),
                "user",
                about=(since, may_change),
            ),
            part("days", lambda one: list_days(one, since), "user"),
            *([form] if changed and may_change else []),
            part("tokens", list_tokens, "token", about=None),
            part("hooks", list_hooks, "hook", about=None),
        ],
        values={"since": since, "windows": WINDOWS, "rights": get_rights(visit), "key": make_key()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a person used for a project, as a piece of their bar."""

    project: str
    hours: float
    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A row of the table."""

    user: UserView
    share_percent: float
    hours: float
    hours_percent: float
    wasted: float
    pieces: Sequence[Piece]

    @property
    def wasted_percent(self) -> float:
        return PERCENT * self.wasted / self.hours if self.hours else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Who used most."""

    people: int
    hours: float
    window: str
    first: str
    first_percent: float


def get_line(visit: Visit, since: str) -> Line:
    """How many people there are, and who used most of the GPU-hours."""
    people = list_people(visit, since, may_change=False).people
    hours = sum(person.hours for person in people)
    first = people[0] if hours else None
    return Line(
        people=len(people),
        hours=hours,
        window=name_since(since),
        first=first.user.name if first else "",
        first_percent=first.hours_percent if first else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All people, who used most first."""

    people: Sequence[Person]
    since: str
    may_change: bool


def list_people(visit: Visit, since: str, *, may_change: bool) -> People:
    """What each person used, and what they may have."""
    used: dict[str, list[UsageView]] = defaultdict(list)
    for usage in visit.once(("usage", since), lambda: visit.client.list_usage(since=read_since(since))):
        used[usage.owner].append(usage)
    users = list(_list_users(visit))
    known = {user.name for user in users}
    users += [_make_user(name) for name in used if name not in known]
    hours = {user.name: sum(one.gpu_hours for one in used[user.name]) for user in users}
    most, total, weight = max(hours.values(), default=0.0), sum(hours.values()), sum(u.weight for u in users)
    people = [
        Person(
            user=user,
            share_percent=PERCENT * user.weight / weight,
            hours=hours[user.name],
            hours_percent=PERCENT * hours[user.name] / total if total else 0.0,
            wasted=sum(one.wasted_hours for one in used[user.name]),
            pieces=_cut(used[user.name], most=most),
        )
        for user in users
    ]
    people.sort(key=lambda person: (-person.hours, person.user.name))
    return People(people=people, since=since, may_change=may_change)


def _list_users(visit: Visit) -> Sequence[UserView]:
    return visit.once("users", visit.client.list_users)


def list_days(visit: Visit, since: str) -> DayBars:
    """What each person used on each day."""
    begin = read_since(since)
    return draw_days(visit.client.list_usage_by_day(since=begin), since=begin, now=datetime.now(timezone.utc))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Whose rights the form changes."""

    user: UserView
    since: str


def get_user(visit: Visit, name: str) -> UserView:
    """What a person may have, who may be somebody of whom nothing is known yet."""
    return next((user for user in _list_users(visit) if user.name == name), _make_user(name))


def _make_user(name: str) -> UserView:
    """Somebody whom nobody granted anything: they have what everybody has."""
    user = User(name=name)
    return UserView(
        name=name,
        weight=user.weight,
        max_gpus=user.max_gpus,
        max_queued=user.max_queued,
        may_use_high=user.may_use_high,
        administrator=user.administrator,
        uid=None,
        seen_at=None,
    )


def _cut(usage: Sequence[UsageView], *, most: float) -> Sequence[Piece]:
    """The pieces of a person's bar, the longest first; the bar of whoever used `most` is whole."""
    by_project: dict[str, float] = defaultdict(float)
    for one in usage:
        by_project[one.project] += one.gpu_hours
    found = sorted(by_project.items(), key=lambda one: (-one[1], one[0]))
    widths = [WIDTH * hours / most if most else 0.0 for _, hours in found]
    places = [0.0, *accumulate(widths)]
    return [
        Piece(project=project, hours=hours, x=x, width=width)
        for (project, hours), x, width in zip(found, places, widths, strict=False)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One's own tokens; for administrators also those of others."""

    tokens: Sequence[TokenView]
    others: Sequence[TokenView]
    may_revoke: bool


def list_tokens(visit: Visit) -> Tokens:
    """The tokens that one may see, and whether one may revoke them from here."""
    views = visit.client.list_tokens(everybody=visit.me.administrator)
    return Tokens(
        tokens=[view for view in views if view.owner == visit.me.name],
        others=[view for view in views if view.owner != visit.me.name],
        may_revoke=not _came_by_token(visit),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Whether one came in by a token, which makes no other; and what a new one may be for."""

    by_token: bool
    scopes: Sequence[str]


def get_rights(visit: Visit) -> Rights:
    """What tokens one may make from here."""
    scopes = [scope.value for scope in Scope if scope is not Scope.ADMIN or visit.me.administrator]
    return Rights(by_token=_came_by_token(visit), scopes=scopes)


def _came_by_token(visit: Visit) -> bool:
    return visit.me.via.startswith(by_token(""))


def list_hooks(visit: Visit) -> tuple[Sequence[HookView], Sequence[str]]:
    """One's own hooks, and of what they may tell."""
    return visit.client.list_hooks(), [one.value for one in Occasion]
