"""The audit, as people read it."""

from collections.abc import Sequence
from datetime import datetime

from cnnctl.views.access import AuditView
from service.domain.audit import AuditEntry
from service.domain.bounds import check_option
from service.domain.states import Subject
from service.store.jobs.jobs import LARGEST_ID
from service.store.people import audit
from service.store.transaction import Store


def list_audit_views(
    store: Store,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    subject: Subject | None = None,
    before: int | None = None,
    limit: int = 100,
) -> Sequence[AuditView]:
    """Who did what, newest first; `before` is the entry after which the last page ended.

    Raises:
        SpecError: a name, a moment or the limit lies outside its bounds.
    """
    check_option("--user", actor)
    check_option("--limit", limit)
    with store.reading() as tx:
        if since is not None:
            check_option("--since", (tx.now - since).total_seconds() / 86400)
        before = None if before is None or before > LARGEST_ID else before
        found = audit.list_newest(tx, since=since, actor=actor, subject=subject, before=before, limit=limit)
    return [describe(entry) for entry in found]


def describe(entry: AuditEntry) -> AuditView:
    """An entry as people see it."""
    return AuditView(
        entry=entry.id,
        at=entry.at,
        actor=entry.actor,
        via=entry.via,
        origin=entry.origin,
        subject=entry.subject.value,
        name=str(entry.job_id) if entry.job_id is not None else entry.subject_name,
        job=entry.job_id,
        action=entry.action.value,
        detail=entry.detail,
        before=entry.before,
        after=entry.after,
    )
