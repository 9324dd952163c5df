"""Lists what people may have and do, and changes it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from cnnctl.views.people import UserView
from service.commands.people.permissions import check_administrator
from service.domain.bounds import check_option
from service.domain.people import Actor, User
from service.store.people import users
from service.store.transaction import Store


def list_user_views(store: Store) -> Sequence[UserView]:
    """Everybody who was granted something or has submitted a job."""
    with store.reading() as tx:
        return [UserView(**asdict(user)) for user in users.list_users(tx)]


def change_user(store: Store, name: str, changes: Mapping[str, object], *, actor: Actor) -> User:
    """Grant a person more or less, and return the result; what `changes` does not name stays.

    Raises:
        NotAllowed: `actor` is no administrator.
        SpecError: the name, the weight or a quota lies outside its bounds.
    """
    check_option("NAME", name)
    # Only what changes is checked: a value that stays may be older than its bounds.
    for option in ("--weight", "--max-gpus", "--max-queued"):
        check_option(option, changes.get(option.removeprefix("--").replace("-", "_")))
    with store.transaction() as tx:
        check_administrator(tx, actor, act="change what people may have")
        users.lock_user(tx, name)
        user = replace(users.get_user(tx, name), **changes)  # type: ignore[arg-type]
        users.set_user(tx, user)
    return user
