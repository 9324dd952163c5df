"""cnnctl token: how programs and other machines come in as oneself."""

from collections.abc import Sequence
from datetime import timedelta

import click

from cnnctl.views.access import TokenView
from cnnctl.views.requests import TokenRequest
from service.cli.display.job_table import age_of
from service.cli.display.table import make_table
from service.cli.param_types import Duration
from service.cli.session import open_client, print_json
from service.cli.terminal import echo, make_console, say
from service.domain.states import Scope
from service.errors import ServiceUnavailable, TokenNotFound


@click.group("token")
def command() -> None:
    """Make, list and revoke your tokens."""


@command.command("create")
@click.option("--name", required=True, help="Your own word for it, as in laptop.")
@click.option("--expires", type=Duration(), default="90d", show_default=True, help="How long it is valid.")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    default=Scope.SUBMIT.value,
    show_default=True,
    help="The most that may be done with it: look, also submit and change your jobs, or all that you may.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def create(name: str, expires: timedelta, scope: str, as_json: bool) -> None:
    """Make a token and print it: once, since only its digest is kept."""
    days = expires.total_seconds() / 86400
    request = TokenRequest(name=name, scope=scope, days=days)  # type: ignore[arg-type]
    try:
        made = open_client().create_token(request)
    except ServiceUnavailable as error:
        raise ServiceUnavailable(
            f"{error}. If token {name} was made, its secret is lost: when the service is back, see "
            f"cnnctl token list, and end it: cnnctl token revoke {name}"
        ) from None
    say(f"Token {made.token} ({name}, {scope}) is valid until {made.expires_at:%Y-%m-%d %H:%M} UTC.")
    say("It is shown only now. On the other machine: cnnctl login URL")
    if as_json:
        print_json(made)
    else:
        echo(made.secret)


@command.command("list")
@click.option("--all", "everybody", is_flag=True, help="Those of all people; only administrators may.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_tokens(everybody: bool, as_json: bool) -> None:
    """Show your tokens that are valid."""
    views = open_client().list_tokens(everybody=everybody)
    if as_json:
        print_json(views)
    elif views:
        _show(views)
    else:
        say("You have no tokens. Make one: cnnctl token create --name laptop")


@command.command("revoke")
@click.argument("token")
def revoke(token: str) -> None:
    """End a token at once, by its number or its name, and remove the hooks that were made with it."""
    client = open_client()
    number = int(token) if token.isdecimal() else None
    if number is None:
        numbers = [view.token for view in client.list_tokens() if view.name == token]
        if not numbers:
            raise TokenNotFound(f"You have no valid token called {token!r}. See: cnnctl token list")
        number = numbers[0]
    client.revoke_token(number)
    echo(f"Token {token} is revoked.")


def _show(views: Sequence[TokenView]) -> None:
    names = ("TOKEN", "OWNER", "NAME", "SCOPE", "EXPIRES", "LAST USED")
    table = make_table(*names, right=["TOKEN"], whole=["NAME"])
    for view in views:
        used = "never" if view.used_at is None else f"{age_of(view.used_at)} ago"
        expires = f"{view.expires_at:%Y-%m-%d %H:%M}"
        table.add_row(str(view.token), view.owner, view.name, view.scope, expires, used)
    make_console().print(table)
