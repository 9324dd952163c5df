"""GPU-hours by person, project and outcome."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from cnnctl.views.people import UsageDayView, UsageView
from service.domain.bounds import check_option
from service.domain.usage import add_up, add_up_by_day
from service.store.people import usage
from service.store.transaction import Store, Transaction


def list_usage_views(
    store: Store, *, owner: str | None = None, since: datetime | None = None
) -> Sequence[UsageView]:
    """List the GPU-hours since a moment, or since ever, of one person or of all.

    Raises:
        SpecError: the name is too long, or the moment too far away.
    """
    check_option("--user", owner)
    with store.reading() as tx:
        _check_since(tx, since)
        found = add_up(usage.list_stays(tx, owner=owner, since=since), since=since, now=tx.now)
    return [UsageView(**asdict(one), wasted_hours=one.wasted_hours) for one in found]


def list_usage_day_views(store: Store, *, since: datetime | None = None) -> Sequence[UsageDayView]:
    """List the GPU-hours since a moment, or since ever, by day and person.

    Raises:
        SpecError: the moment is too far away.
    """
    with store.reading() as tx:
        _check_since(tx, since)
        found = add_up_by_day(usage.list_stays(tx, since=since), since=since, now=tx.now)
    return [UsageDayView(day=f"{one.day}", owner=one.owner, gpu_hours=one.gpu_hours) for one in found]


def _check_since(tx: Transaction, since: datetime | None) -> None:
    if since is not None:
        check_option("--since", (tx.now - since).total_seconds() / 86400)
