"""cnnctl db: the database's tables."""

import click

from service.cli.session import open_until_end
from service.cli.terminal import echo
from service.commands.ops.embedded_stack import refuse_new_database
from service.db.migrate import HEAD_REVISION
from service.private_files import open_to_group
from service.settings import DATABASE_FILE, load_settings
from service.store.transaction import START_SECONDS


@click.group("db")
def command() -> None:
    """Create, upgrade or check the database."""


@command.command("upgrade")
def upgrade() -> None:
    """Bring the tables to the revision of this cnnctl; safe to repeat.

    Waits half a minute for a database that is just starting. With CNNCTL_OWNER_URL the tables belong to its
    user. The user of CNNCTL_DATABASE_URL is created if missing, and may only read and write the tables.
    """
    settings = load_settings()
    open_to_group(settings, folders=[] if settings.database else [settings.home_dir])
    store = open_until_end(settings, owner=True)
    if not settings.database and not (settings.home_dir / DATABASE_FILE).exists():
        refuse_new_database(settings)
    store.upgrade(seconds=START_SECONDS)
    store.check_complete()
    echo(f"{store.address} is at revision {HEAD_REVISION}.")
    if settings.owner:
        user = store.restrict_service(settings.database_url)
        echo(f"{user} may read and write its tables, and nothing else.")


@command.command("check")
def check() -> None:
    """Check that all tables are there, at the right revision."""
    store = open_until_end(load_settings())
    store.check_complete()
    echo(f"{store.address} is at revision {HEAD_REVISION}.")
