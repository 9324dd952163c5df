"""Who runs this command: what the operating system says, never what the environment says."""

import os

from service.domain.people import Actor
from service.process import are_users_proven, name_of_user
from service.store.transaction import Store

UNMAPPED = 65534  # the uid that the kernel shows for every user without one in a user namespace


def current_actor(store: Store) -> Actor:
    """The person at the keyboard; root, and on SQLite the owner of the data folder, is an operator.

    In a user namespace, whoever creates it chooses the uids. So a name from one ends with `@namespace` and is
    nobody else's; only the ownership of a folder is still proof there.
    """
    uid = os.getuid()
    proven = are_users_proven()
    owns_data = store.folder is not None and store.folder.stat().st_uid == uid != UNMAPPED
    name = name_of_user(uid)
    return Actor(
        name=name if proven else f"{name}@namespace",
        operator=(proven and uid == 0) or owns_data,
    )
