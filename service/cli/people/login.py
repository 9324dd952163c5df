"""cnnctl login: keep a token, so that every command asks the API elsewhere."""

from urllib.parse import urlsplit

import click

from cnnctl.http_client import HttpClient
from cnnctl.login import Login, write_login
from cnnctl.version import find_version
from service.cli.terminal import say


@click.command("login")
@click.argument("url")
def command(url: str) -> None:
    """Keep a token, so that commands ask the API at URL.

    Make the token on the service's machine: cnnctl token create. It is kept in your config
    folder, for you alone.
    """
    url = url.rstrip("/")
    HttpClient.at(url, token="").get_version()  # whether it is there, before anybody types a secret
    if sends_openly(url):
        say(f"Whoever is on the way to {url} can read your token: it is not encrypted. Better: https://")
    token = click.prompt("Token", hide_input=True, err=True).strip()
    client = HttpClient.at(url, token=token)
    me, theirs = client.get_me(), client.get_version().version
    path = write_login(Login(url=url, token=token))
    say(f"You are {me.name} at {url}, by {me.via} of scope {me.scope}. Kept in {path}")
    if theirs != find_version():
        say(f"The service has version {theirs}, and this is {find_version()}: some things may differ.")


def sends_openly(url: str) -> bool:
    """Whether a token for this URL goes unencrypted to another machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "http" and host not in ("localhost", "::1") and not host.startswith("127.")
