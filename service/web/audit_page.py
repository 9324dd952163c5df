"""The page of the audit: who did what, in words, the newest first."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from cnnctl.views.access import AuditView
from service.domain.audit import format_change
from service.domain.choices import read_choice
from service.domain.states import Action, Subject
from service.web.address import check_query, read_number
from service.web.parts import Page, Part, Visit
from service.web.since import read_since

ENTRIES = 100  # of a page
SECONDS = 60.0
FILTERS = ("since", "actor", "subject")

VERBS: Mapping[str, str] = {
    Action.DISPATCHED.value: "gave GPUs to",
    Action.CANCEL_REQUESTED.value: "asked to cancel",
    Action.PAUSE_REQUESTED.value: "asked to pause",
    Action.PREEMPT_REQUESTED.value: "asked to preempt",
    Action.PRIORITY_CHANGED.value: "changed the priority of",
    Action.REQUEUED.value: "put back into the queue",
    Action.SUCCEEDED.value: "recorded the success of",
    Action.FAILED.value: "recorded the failure of",
}


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address says which entries, and `before` which of them came on the page before."""
    check_query(query, (*FILTERS, "before"))
    chosen = {name: query[name] for name in FILTERS if query.get(name)}
    before = query.get("before", "")
    if before:
        read_number(before, what="entry")
    if "since" in chosen:
        read_since(chosen["since"])
    if "subject" in chosen:
        read_choice(Subject, chosen["subject"], what="subject")
    return Page(
        title="Audit",
        template="audit",
        section="People",
        command=_write_command(chosen),
        parts=[
            Part(
                name="entries",
                look=lambda one: list_entries(one, chosen, before),
                about=(tuple(chosen.items()), before),
                seconds=SECONDS,
            )
        ],
        values={"chosen": chosen, "subjects": [one.value for one in Subject]},
    )


def _write_command(chosen: Mapping[str, str]) -> str:
    options = {"since": "--since", "actor": "--user", "subject": "--about"}
    words = [word for name, value in chosen.items() for word in (options[name], value)]
    return shlex.join(["cnnctl", "audit", *words, "--limit", str(ENTRIES)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that somebody did, in words."""

    view: AuditView
    verb: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A page of the audit; `older` is the address of the next one, empty on the last."""

    entries: Sequence[Entry]
    older: str


def list_entries(visit: Visit, chosen: Mapping[str, str], before: str) -> Entries:
    """The newest entries of those that were chosen."""
    views = visit.client.list_audit(
        since=read_since(chosen["since"]) if "since" in chosen else None,
        actor=chosen.get("actor"),
        subject=chosen.get("subject"),
        before=int(before) if before else None,
        limit=ENTRIES,
    )
    entries = [
        Entry(
            view=view,
            verb=VERBS.get(view.action, view.action.replace("_", " ")),
            change=format_change(view.before, view.after),
        )
        for view in views
    ]
    more = len(views) == ENTRIES
    address = urlencode({**chosen, "before": views[-1].entry}) if more else ""
    return Entries(entries=entries, older=f"/people/audit?{address}" if more else "")
