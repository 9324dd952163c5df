"""Lists what people may have and do, and changes it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from cnnctl.views.people import UserView
from service.commands.people.permissions import check_administrator
from service.domain.bounds import check_option
from service.domain.people import Actor, User
from service.domain.states import Action, Subject
from service.errors import SpecError
from service.store.people import audit, sightings, users
from service.store.people.sightings import Sighting
from service.store.transaction import Store

NOT_SEEN = Sighting(uid=None, seen_at=None)


def list_user_views(store: Store) -> Sequence[UserView]:
    """Everybody who was granted something, has submitted a job or came in through the API."""
    with store.reading() as tx:
        seen = sightings.list_sightings(tx)
        known = {user.name: user for user in users.list_users(tx)}
    return [
        _describe(known.get(name, User(name=name)), seen.get(name, NOT_SEEN))
        for name in sorted({*known, *seen})
    ]


def change_user(store: Store, name: str, changes: Mapping[str, Any], *, actor: Actor) -> UserView:
    """Grant a person more or less, and return the result; what `changes` does not name stays.

    Raises:
        NotAllowed: `actor` is no administrator.
        SpecError: the name, the weight or a quota lies outside its bounds, or nothing is changed.
    """
    check_option("NAME", name)
    # Only what changes is checked: a value that stays may be older than its bounds.
    for option in ("--weight", "--max-gpus", "--max-queued"):
        check_option(option, changes.get(option.removeprefix("--").replace("-", "_")))
    if not changes:
        raise SpecError("Nothing is to be changed. See: cnnctl users set --help")
    with store.transaction() as tx:
        check_administrator(tx, actor, act="change what people may have")
        users.lock_user(tx, name)
        before = users.get_user(tx, name)
        after = replace(before, **changes)
        users.set_user(tx, after)
        was, now = ({key: getattr(user, key) for key in changes} for user in (before, after))
        audit.add_entry_about(tx, Subject.USER, name, Action.CHANGED, actor=actor, before=was, after=now)
        return _describe(after, sightings.list_sightings(tx).get(name, NOT_SEEN))


def _describe(user: User, seen: Sighting) -> UserView:
    return UserView(**asdict(user), uid=seen.uid, seen_at=seen.seen_at)
