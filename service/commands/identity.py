"""Who runs this command: what the operating system says, never what the environment says."""

import os
import pwd

from service.domain.people import Actor
from service.store.transaction import Store


def current_actor(store: Store) -> Actor:
    """The person at the keyboard; root, and on SQLite the owner of the data folder, is an operator."""
    uid = os.getuid()
    owns_data = store.folder is not None and store.folder.stat().st_uid == uid
    return Actor(name=_name_of(uid), operator=uid == 0 or owns_data)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container
        return f"uid{uid}"
