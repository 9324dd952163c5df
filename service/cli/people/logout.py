"""cnnctl logout: forget the token that `cnnctl login` kept."""

import click

from cnnctl.login import forget_login
from service.cli.terminal import say


@click.command("logout")
def command() -> None:
    """Forget the token that cnnctl login kept.

    It stays valid for whoever has a copy: cnnctl token revoke ends it.
    """
    say("The login is forgotten." if forget_login() else "There was no login.")
