"""Who runs this command: what the operating system says, never what the environment says."""

import os

from cnnctl.views.access import MeView
from service.commands.people.permissions import is_administrator
from service.domain.people import BY_SOCKET, Actor
from service.errors import NotAuthenticated
from service.process import are_users_proven, find_user_name, name_of_user
from service.store.transaction import Store

UNMAPPED = 65534  # the uid that the kernel shows for every user without one in a user namespace


def current_actor(store: Store) -> Actor:
    """The person at the keyboard; root, and on SQLite the owner of the data folder, is an operator.

    In a user namespace, whoever creates it chooses the uids. So a name from one ends with `@namespace` and is
    nobody else's; only the ownership of a folder is still proof there.
    """
    uid = os.getuid()
    proven = are_users_proven()
    name = name_of_user(uid)
    return Actor(
        name=name if proven else f"{name}@namespace",
        operator=(proven and uid == 0) or _owns_data(store, uid),
    )


def _owns_data(store: Store, uid: int) -> bool:
    """Whether the embedded data folder is a user's own."""
    return store.folder is not None and store.folder.stat().st_uid == uid != UNMAPPED


def actor_of_peer(store: Store, uid: int, *, proven: bool) -> Actor:
    """Who is at the other end of the socket, as the kernel says.

    `proven` is whether user numbers mean the same in this process as on the whole machine.

    Raises:
        NotAuthenticated: the user has no name, or none outside of a user namespace.
    """
    if not proven:
        raise NotAuthenticated(
            "The API runs in a user namespace, in which user numbers are not the machine's: the socket "
            "proves nobody. Run it outside of one, or use a token: cnnctl login"
        )
    name = find_user_name(uid) if uid != UNMAPPED else None
    if name is None:
        raise NotAuthenticated(
            f"User number {uid} has no name where the API runs, so nobody can be told who that is. "
            "Whoever runs the service lets it see the machine's users (/etc/passwd)"
        )
    return Actor(name=name, operator=uid == 0 or _owns_data(store, uid), via=BY_SOCKET)


def describe_actor(store: Store, actor: Actor) -> MeView:
    """Who somebody is to the service."""
    with store.reading() as tx:
        administrator = is_administrator(tx, actor)
    return MeView(
        name=actor.name,
        administrator=administrator,
        scope=actor.scope.value,
        via=actor.via,
        origin=actor.origin,
    )
