"""cnnctl list: what can be named in a submission."""

from collections.abc import Sequence

import click

from cnnctl.views.codec import to_json
from cnnctl.views.networks import CatalogEntry
from service.cli.display.table import make_table
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, say
from service.commands.networks.catalog import DATASETS, SECTIONS, list_entries, list_fields
from service.errors import CnnctlError

FIELDS = "fields"


@click.command("list")
@click.argument("section", type=click.Choice([*SECTIONS, FIELDS]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(section: str, as_json: bool) -> None:
    """List what can be named in a submission."""
    views = list_fields() if section == FIELDS else _list(section)
    if as_json:
        print_json(views)
        return
    rows = to_json(views)
    names = [name.upper() for name in rows[0]]
    table = make_table(*names, whole=["NAME"], folded=names)
    for row in rows:
        table.add_row(*row.values())
    make_console().print(table)


def _list(section: str) -> Sequence[CatalogEntry]:
    """The entries of a section: without a client, so also where there is neither database nor service.

    The lab's own datasets are known to the service alone.
    """
    if section == DATASETS:
        try:
            return open_client().list_catalog(section)
        except CnnctlError as error:
            say(f"The lab's own datasets are left out. {error}")
    return list_entries(section)
