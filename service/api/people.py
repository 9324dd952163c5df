"""The routes of people, what they have used, their hooks and tokens, and the audit."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from cnnctl.views.access import AuditView, HealthView, LinkView, MeView, NewTokenView, TokenView
from cnnctl.views.people import HookView, UsageDayView, UsageView, UserView
from cnnctl.views.requests import HookRequest, TokenRequest, UserChange
from service.api.ask import Asked
from service.api.declare import act, get
from service.domain.states import Subject

router = APIRouter(tags=["people"])
MOST_ENTRIES = 1000  # of one answer


@get(router, "/me", MeView)
def get_me(ask: Asked) -> Response:
    """Who the service takes the client for."""
    return ask.look(lambda client: client.get_me())


@get(router, "/health", HealthView)
def get_health(ask: Asked) -> Response:
    """Whether the service is there to do the work."""
    return ask.look(lambda client: client.get_health())


@get(router, "/usage", Sequence[UsageView])
def list_usage(ask: Asked, owner: str | None = None, since: AwareDatetime | None = None) -> Response:
    """GPU-hours by person, project and outcome."""
    return ask.look(lambda client: client.list_usage(owner=owner, since=since))


@get(router, "/usage/days", Sequence[UsageDayView])
def list_usage_by_day(ask: Asked, since: AwareDatetime | None = None) -> Response:
    """GPU-hours by day and person."""
    return ask.look(lambda client: client.list_usage_by_day(since=since))


@get(router, "/users", Sequence[UserView])
def list_users(ask: Asked) -> Response:
    """What people may have and do."""
    return ask.look(lambda client: client.list_users())


@act(router, "PATCH", "/users/{name}", UserView, body=UserChange)
def change_user(ask: Asked, name: Annotated[str, Path(description="who")]) -> Response:
    """Change what a person may have and do."""
    return ask.act(lambda client: client.change_user(name, ask.read_changes(UserChange)))


@get(router, "/hooks", Sequence[HookView])
def list_hooks(ask: Asked) -> Response:
    """One's own hooks, and what became of their last message."""
    return ask.look(lambda client: client.list_hooks())


@act(router, "POST", "/hooks", HookView, body=HookRequest, status=201)
def add_hook(ask: Asked) -> Response:
    """Tell an address of one's jobs from now on."""
    return ask.act(lambda client: client.add_hook(ask.read(HookRequest)), status=201)


@act(router, "DELETE", "/hooks/{hook}", None)
def remove_hook(ask: Asked, hook: Annotated[int, Path(description="the hook's number")]) -> Response:
    """Tell nobody by this hook any more."""
    return ask.act(lambda client: client.remove_hook(hook))


@get(router, "/tokens", Sequence[TokenView])
def list_tokens(
    ask: Asked, everybody: Annotated[bool, Query(description="those of all people")] = False
) -> Response:
    """One's own tokens; administrators may see everybody's."""
    return ask.look(lambda client: client.list_tokens(everybody=everybody))


@act(router, "POST", "/tokens", NewTokenView, body=TokenRequest, status=201)
def create_token(ask: Asked) -> Response:
    """Make a token for oneself; it is shown only in this answer."""
    return ask.act(
        lambda client: client.create_token(ask.read(TokenRequest), key=ask.key), status=201, once=False
    )


@act(router, "DELETE", "/tokens/{token}", None)
def revoke_token(ask: Asked, token: Annotated[int, Path(description="the token's number")]) -> Response:
    """End a token at once."""
    return ask.act(lambda client: client.revoke_token(token))


@act(router, "POST", "/links", LinkView, status=201)
def make_link(ask: Asked) -> Response:
    """Make a link that opens a browser's session once, within a minute."""
    return ask.act(lambda client: client.make_link(), status=201, once=False)


@get(router, "/audit", Sequence[AuditView])
def list_audit(
    ask: Asked,
    since: AwareDatetime | None = None,
    actor: str | None = None,
    subject: Subject | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    before: Annotated[int | None, Query(ge=1, description="the last entry of the page before")] = None,
) -> Response:
    """Who did what, the newest entry first."""
    about = subject.value if subject else None
    return ask.look(
        lambda client: client.list_audit(since=since, actor=actor, subject=about, limit=limit, before=before)
    )
