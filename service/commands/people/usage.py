"""GPU-hours by person, project and outcome, as the JSON shape of docs/json.md."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from service.domain.bounds import check_option
from service.domain.usage import add_up
from service.store.people import usage
from service.store.transaction import Store

View = Mapping[str, Any]


def list_usage_views(
    store: Store, *, owner: str | None = None, since: datetime | None = None
) -> Sequence[View]:
    """What was used since a moment, or ever, by one person or by all.

    Raises:
        SpecError: the name is too long, or the moment too far away.
    """
    check_option("--user", owner)
    with store.reading() as tx:
        if since is not None:
            check_option("--since", (tx.now - since).total_seconds() / 86400)
        found = add_up(usage.list_stays(tx, owner=owner, since=since), since=since, now=tx.now)
    return [{**asdict(one), "wasted_hours": one.wasted_hours} for one in found]
