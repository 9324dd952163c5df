"""Who runs this command: what the operating system says, never what the environment says."""

import os

from service.domain.people import Actor
from service.process import name_of_user
from service.store.transaction import Store


def current_actor(store: Store) -> Actor:
    """The person at the keyboard; root, and on SQLite the owner of the data folder, is an operator."""
    uid = os.getuid()
    owns_data = store.folder is not None and store.folder.stat().st_uid == uid
    return Actor(name=name_of_user(uid), operator=uid == 0 or owns_data)
