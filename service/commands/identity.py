"""Who runs this command: what the operating system says, never what the environment says."""

import os
import pwd

from service.domain.people import Actor
from service.store.transaction import Store


def current_actor(store: Store) -> Actor:
    """The person at the keyboard; root, and on SQLite the owner of the data folder, is an operator."""
    uid = os.getuid()
    owns_data = store.folder is not None and store.folder.stat().st_uid == uid
    return Actor(name=name_of_user(uid), operator=uid == 0 or owns_data)


def name_of_user(uid: int) -> str:
    """The name of a user of this machine, or `uid1000` where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container
        return f"uid{uid}"
