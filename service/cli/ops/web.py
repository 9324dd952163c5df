"""cnnctl web: open the pages in a browser, as oneself."""

import os
import webbrowser

import click

from cnnctl.client import Client
from cnnctl.find import API_SOCKET
from cnnctl.http_client import HttpClient
from service.cli.session import open_client
from service.cli.terminal import echo, say
from service.client.choose import find_api
from service.settings import load_settings


@click.command("web")
@click.option("--no-open", is_flag=True, help="Only print the link.")
def command(no_open: bool) -> None:
    """Open the pages in a browser, as yourself.

    The link is printed, too: it works once, within a minute.
    """
    link = _find_client().make_link()
    say("The link works once, within a minute, for whoever has it:")
    echo(link.url)
    if not no_open and os.environ.get("DISPLAY", os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(link.url)


def _find_client() -> Client:
    """The API itself, also of an embedded stack: it knows the port that it was given."""
    settings = load_settings()
    socket = settings.home_dir / API_SOCKET
    if find_api(settings) is None and not settings.database and socket.exists():
        return HttpClient.on_socket(socket)
    return open_client()
