"""The address of a list of jobs: which jobs it asks for, in words, as a command line, and with a change."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from cnnctl.views.requests import JobQuery, JobSort
from cnnctl.views.states import JobState
from service.domain.moments import is_duration
from service.errors import SpecError
from service.web.address import check_query, check_words, is_number, read_moment, read_parameter, write_moment

MANY = ("state", "tag", "columns")  # may be repeated, or joined by commas
FILTERS = ("state", "owner", "project", "tag", "network", "dataset", "since", "ended_since", "text", "like")
NO_PROJECT = "no_project"  # an empty project asks for nothing: a form sends all of its fields
KNOWN = (*FILTERS, NO_PROJECT, "sort", "limit", "before", "columns")
WORDS = {"state": get_args(JobState), "sort": get_args(JobSort), NO_PROJECT: ("yes",)}
PAGE_LENGTH = 50
Asked = Mapping[str, Sequence[str]]
"""What an address says, by parameter; what it leaves out or empty is not there."""


def read_address(query: QueryParams) -> Asked:
    """What is asked for.

    Raises:
        SpecError: a parameter that is not known, or a word that it does not take.
    """
    check_query(query, KNOWN)
    asked = {name: words for name in KNOWN if (words := read_parameter(name, query.getlist(name), many=MANY))}
    for name, known in WORDS.items():
        check_words(name, asked.get(name, ()), known)
    if NO_PROJECT in asked and "project" in asked:
        raise SpecError("A job in a project is not without one: leave out project or no_project")
    return asked


def find_text(asked: Asked, name: str) -> str:
    """A parameter that is there once; empty: not at all."""
    return next(iter(asked.get(name, ())), "")


def find_number(asked: Asked, name: str) -> int | None:
    """The same, as a number.

    Raises:
        SpecError: it is none.
    """
    text = find_text(asked, name)
    if text and not is_number(text):
        raise SpecError(f"{name} takes a whole number. Received: {text[:40]!r}")
    return int(text) if text else None


def to_query(asked: Asked) -> JobQuery:
    """The filter.

    Raises:
        SpecError: a number or a moment is none.
    """
    texts: dict[str, Any] = {
        name: find_text(asked, name) or None for name in ("owner", "project", "network", "dataset")
    }
    if NO_PROJECT in asked:
        texts["project"] = ""
    return JobQuery(
        **texts,
        state=asked.get("state", ()),  # type: ignore[arg-type]  # checked when it was read
        tag=asked.get("tag", ()),
        since=_find_moment(asked, "since"),
        ended_since=_find_moment(asked, "ended_since"),
        text=find_text(asked, "text"),
        like=find_number(asked, "like"),
    )


def _find_moment(asked: Asked, name: str) -> datetime | None:
    text = find_text(asked, name)[:60]
    return read_moment(text, name=name) if text else None


def to_link(asked: Asked, **changes: str | None) -> str:
    """The address with changes; None takes a parameter out. It begins at the first page unless told."""
    values = {**asked, "before": (), **{name: [text] if text else () for name, text in changes.items()}}
    typed = urlencode({name: values[name] for name in KNOWN if values.get(name)}, doseq=True)
    return f"/jobs?{typed}" if typed else "/jobs"


def to_command(asked: Asked) -> str:
    """The command line that lists the same jobs, from the first page on."""
    words = ["cnnctl", "status"]
    for name in (*FILTERS, "sort"):
        for text in asked.get(name, ()):
            words += [f"--{name.replace('_', '-')}", write_moment(text) if name.endswith("since") else text]
    if NO_PROJECT in asked:
        words += ["--project", ""]
    return shlex.join([*words, "--limit", find_text(asked, "limit") or str(PAGE_LENGTH)])


PHRASES = {
    "owner": "of {}",
    "project": "in project {}",
    "network": "network {}",
    "dataset": "on {}",
    "text": "with “{}” in name or note",
    "like": "made like job {}",
}


def in_words(asked: Asked) -> str:
    """Which jobs these are, as in `running or queued, of ada, tagged ablation`; empty: all."""
    return ", ".join(_list_phrases(asked))


def _list_phrases(asked: Asked) -> Iterator[str]:
    if states := asked.get("state"):
        yield " or ".join(states)
    for name, phrase in PHRASES.items():
        if text := find_text(asked, name):
            yield phrase.format(text)
    if NO_PROJECT in asked:
        yield "without a project"
    if tags := asked.get("tag"):
        yield f"tagged {' and '.join(tags)}"
    for name, verb in (("since", "submitted"), ("ended_since", "ended")):
        if text := find_text(asked, name):
            yield f"{verb} {'in the last' if is_duration(text) else 'since'} {text}"
