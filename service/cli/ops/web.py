"""cnnctl web: open the pages in a browser, as oneself."""

import os
import webbrowser

import click

from service.cli.session import open_client
from service.cli.terminal import echo, say


@click.command("web")
@click.option("--no-open", is_flag=True, help="Only print the link.")
def command(no_open: bool) -> None:
    """Open the pages in a browser, as yourself.

    The link is printed, too: it works once, within a minute.
    """
    link = open_client().make_link()
    say("The link works once, within a minute, for whoever has it:")
    echo(link.url)
    if not no_open and os.environ.get("DISPLAY", os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(link.url)
