"""cnnctl list: what can be named in a submission."""

import click
from rich.table import Table

from cnnctl.views.codec import to_json
from service.cli.session import print_json
from service.cli.terminal import make_console
from service.commands.networks.catalog import SECTIONS, list_entries, list_fields

FIELDS = "fields"


@click.command("list")
@click.argument("section", type=click.Choice([*SECTIONS, FIELDS]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(section: str, as_json: bool) -> None:
    """List what can be named in a submission."""
    views = list_fields() if section == FIELDS else list_entries(section)
    if as_json:
        print_json(views)
        return
    rows = to_json(views)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0]:
        table.add_column(name.upper(), overflow="fold", no_wrap=name == "name")
    for row in rows:
        table.add_row(*row.values())
    make_console().print(table)
