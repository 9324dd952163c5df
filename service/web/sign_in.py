"""How a browser comes in: by a link that works once, or with a token; and how it goes."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from service.api.ask import Asked, Service
from service.api.who import check_same_site
from service.commands.people.credentials import (
    close_browser_session,
    open_browser_session,
    open_session_by_token,
)
from service.domain.credentials import SESSION_LIFE
from service.errors import NotAuthenticated
from service.web.answer import PageRoute, answer, read_form

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/open/{secret}")
def open_session(request: Request, secret: str) -> Response:
    """Use a link up, and give the browser its session."""
    service: Service = request.app.state.service
    try:
        session = open_browser_session(service.store, secret, origin=_origin_of(request))
    except NotAuthenticated:
        service.gatekeeper.count_unknown(request)
        raise
    return _begin(service, session, "/")


@router.get("/sign-in")
def show_sign_in() -> Response:
    """How to come in."""
    return answer("sign_in.html", back="/", problem=None)


@router.post("/sign-in")
def sign_in(ask: Asked) -> Response:
    """Give the browser a session that may do what its token may."""
    request, service = ask.request, ask.service
    check_same_site(request.headers)
    service.gatekeeper.count_unknown(request)
    form = read_form(ask)
    token = form.get("token", "").strip()
    session = open_session_by_token(service.store, token, origin=_origin_of(request))
    return _begin(service, session, _own_address(form.get("back", "/")))


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the browser's session."""
    service: Service = request.app.state.service
    check_same_site(request.headers)
    session = request.cookies.get(service.cookie, "")
    close_browser_session(service.store, session, origin=_origin_of(request))
    gone = RedirectResponse("/sign-in", status_code=303)
    gone.delete_cookie(service.cookie, secure=service.secure, httponly=True, samesite="lax")
    return gone


def _begin(service: Service, session: str, back: str) -> Response:
    begun = RedirectResponse(back, status_code=303, headers={"Referrer-Policy": "no-referrer"})
    begun.set_cookie(
        service.cookie,
        session,
        max_age=int(SESSION_LIFE.total_seconds()),
        secure=service.secure,
        httponly=True,
        samesite="lax",
    )
    return begun


def _own_address(back: str) -> str:
    """A page of this service: browsers would read //elsewhere and /\\elsewhere as other hosts."""
    local = back.startswith("/") and back.isprintable() and not back.startswith(("//", "/\\"))
    return back if local else "/"


def _origin_of(request: Request) -> str:
    return request.client.host if request.client else ""
