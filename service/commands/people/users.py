"""What people may have and do, as administrators see and change it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from service.commands.people.permissions import check_administrator
from service.domain.people import LONGEST_NAME, Actor, User
from service.errors import SpecError
from service.store.people import users
from service.store.transaction import Store

View = Mapping[str, Any]


def list_user_views(store: Store) -> Sequence[View]:
    """Everybody who was granted something or has submitted a job."""
    with store.reading() as tx:
        return [asdict(user) for user in users.list_users(tx)]


def change_user(store: Store, name: str, changes: Mapping[str, object], *, actor: Actor) -> User:
    """Grant a person more or less; what is not named stays. Returns what holds now.

    Raises:
        NotAllowed: `actor` is no administrator.
        SpecError: the weight is not above 0, or a quota is below 0.
    """
    with store.transaction() as tx:
        check_administrator(tx, actor, act="change what people may have")
        users.lock_user(tx, name)
        user = replace(users.get_user(tx, name), **changes)  # type: ignore[arg-type]
        _check(user)
        users.set_user(tx, user)
    return user


def _check(user: User) -> None:
    if not 0 < len(user.name) <= LONGEST_NAME or not user.name.isprintable():
        raise SpecError(f"NAME takes 1 to {LONGEST_NAME} printable characters. Received: {user.name!r}")
    if not 0 < user.weight <= 1e6:
        raise SpecError(f"--weight must be above 0 and at most 1000000. Received: {user.weight:g}")
    for name, quota in (("--max-gpus", user.max_gpus), ("--max-queued", user.max_queued)):
        if quota is not None and not 0 <= quota < 2**31:
            raise SpecError(f"{name} must be a whole number of at least 0, or none. Received: {quota}")
