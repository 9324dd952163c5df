"""cnnctl whoami: who the service takes you for."""

import click

from service.cli.session import open_client, print_json
from service.cli.terminal import echo


@click.command("whoami")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """Show who you are to the service, and how it knows."""
    me = open_client().get_me()
    if as_json:
        print_json(me)
        return
    rights = "administrator" if me.administrator else f"scope {me.scope}"
    echo(f"{me.name}, by {me.via}{f' from {me.origin}' if me.origin else ''} ({rights})")
