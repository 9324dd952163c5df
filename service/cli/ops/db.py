"""cnnctl db: the database's tables."""

import click

from service.cli.session import open_until_end
from service.cli.terminal import echo
from service.db.migrate import HEAD_REVISION
from service.private_files import open_to_group
from service.settings import load_settings
from service.store.transaction import START_SECONDS


@click.group("db")
def command() -> None:
    """Create, upgrade or check the database."""


@command.command("upgrade")
def upgrade() -> None:
    """Bring the tables to the revision of this cnnctl; safe to repeat.

    Waits half a minute for a database that is just starting.
    """
    settings = load_settings()
    open_to_group(settings, folders=[] if settings.database else [settings.home_dir])
    store = open_until_end(settings)
    store.upgrade(seconds=START_SECONDS)
    echo(f"{store.address} is at revision {HEAD_REVISION}.")


@command.command("check")
def check() -> None:
    """Say whether the tables are at the right revision."""
    store = open_until_end(load_settings())
    store.check_revision()
    echo(f"{store.address} is at revision {HEAD_REVISION}.")
