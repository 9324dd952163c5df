"""What every command starts with: a client of the service, or the settings and an open store."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnctl.client import Client
from cnnctl.views.codec import to_json
from service.cli.terminal import echo, say
from service.client.choose import find_api
from service.errors import NoTables
from service.escaping import escape_document
from service.settings import Settings, load_settings

if TYPE_CHECKING:  # SQLAlchemy takes 0.1 s to import, and who asks the API needs none
    from service.store.transaction import Store


def open_client() -> Client:
    """The client of this command: over the API, or over the database of this machine.

    Raises:
        CnnctlError: a setting is wrong, or the service cannot be reached.
    """
    api = find_api(load_settings())
    if api is None:
        return open_local_client()
    api.report_waits(say)
    return api


def open_local_client() -> Client:
    """The client over the database of this machine, for who is at its keyboard."""
    from service.client.local import LocalClient
    from service.commands.people.identity import current_actor

    settings, store = open_session()
    return LocalClient(store, settings, current_actor(store))


def open_session() -> "tuple[Settings, Store]":
    """Read the settings and open the store.

    The embedded database is created at its first use; a server's is left to `cnnctl db upgrade`.

    Raises:
        CnnctlError: a setting is wrong, the database is away, or it is at another revision.
    """
    from service.private_files import open_to_group

    settings = load_settings()
    open_to_group(settings, folders=[] if settings.database else [settings.home_dir])
    store = open_until_end(settings)
    try:
        store.check_revision()
    except NoTables:
        if settings.database:
            raise
        make_embedded_database(store, settings)
    return settings, store


def make_embedded_database(store: "Store", settings: Settings) -> None:
    """Create the database of a data folder, unless the old one was deleted while processes use it.

    Raises:
        DatabaseGone: it was.
    """
    from service.commands.ops.embedded_stack import refuse_new_database  # imported late: seldom needed

    refuse_new_database(settings)
    if settings.runs_dir.is_dir() and any(settings.runs_dir.iterdir()):
        say(f"There was no database in {settings.home_dir}: a new one counts jobs from 1 again.")
    store.upgrade()


def open_until_end(settings: Settings, *, owner: bool = False) -> "Store":
    """Open the store at any revision, or as its owner; it is closed when the command ends."""
    from service.store.transaction import open_store

    store = open_store(settings.owner_url if owner else settings.database_url)
    click.get_current_context().call_on_close(store.close)
    return store


def print_json(document: object) -> None:
    """Print one JSON document on standard output: a view, or many."""
    echo(json.dumps(escape_document(to_json(document)), indent=2, allow_nan=False))


def shorten_home(path: str) -> str:
    """Write a path below the home folder with `~`."""
    home = str(Path.home())
    return "~" + path[len(home) :] if home != "/" and path.startswith(home + "/") else path


def format_bytes(count: int) -> str:
    """A number of bytes as text: 12 B, 3.4 MiB, …"""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def format_seconds(seconds: float) -> str:
    """A duration as text: 0.4 s, 12 s, 5 min, …"""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.2g} s"
