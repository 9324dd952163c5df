"""The audit: who did what to which job, GPU, host, person or credential."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.jobs import AttemptId, JobId
from service.domain.states import Action, Subject

NOTHING = "nothing"  # as which an empty value is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something that was done; entries are added and never changed."""

    id: int
    """Grows from entry to entry."""
    at: datetime
    actor: str
    """A person, `scheduler`, or `worker HOST`."""
    via: str
    """How the actor came in, see `Actor.via`; empty where it was not recorded yet."""
    origin: str
    """From which address; empty: from this machine, or not recorded."""
    subject: Subject
    subject_name: str
    """Its name; empty where `job_id` names it."""
    job_id: JobId | None
    attempt_id: AttemptId | None
    action: Action
    detail: str
    before: Mapping[str, Any] | None
    """The fields that were changed, as they were."""
    after: Mapping[str, Any] | None
    """The same fields, as they are since then."""


def format_change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What an entry says was changed, as in `weight 1.0 → 2.0`; empty if nothing was."""
    was, now = ({key: _name(value) for key, value in (side or {}).items()} for side in (before, after))
    changed = [key for key in dict.fromkeys([*was, *now]) if was.get(key) != now.get(key)]
    return ", ".join(
        f"{key} {was.get(key, NOTHING)} → {now.get(key, NOTHING)}"
        if was and now
        else f"{key} {(now or was)[key]}"
        for key in changed
    )


def _name(value: object) -> str:
    """A value in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NOTHING
    return NOTHING if value is None or value == "" else str(value)
