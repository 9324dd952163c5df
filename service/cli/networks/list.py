"""cnnctl list: what can be named in a submission."""

import click

from cnnctl.views.codec import to_json
from service.cli.display.table import make_table
from service.cli.session import print_json
from service.cli.terminal import make_console
from service.commands.networks.catalog import SECTIONS, list_entries, list_fields

FIELDS = "fields"


@click.command("list")
@click.argument("section", type=click.Choice([*SECTIONS, FIELDS]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(section: str, as_json: bool) -> None:
    """List what can be named in a submission."""
    # Without a client: it needs no database and no service, and works where neither is.
    views = list_fields() if section == FIELDS else list_entries(section)
    if as_json:
        print_json(views)
        return
    rows = to_json(views)
    names = [name.upper() for name in rows[0]]
    table = make_table(*names, whole=["NAME"], folded=names)
    for row in rows:
        table.add_row(*row.values())
    make_console().print(table)
