"""What anybody may ask, and how a browser comes in: by a link that works once."""

from html import escape

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from cnnctl.connection import PREFIX
from cnnctl.version import find_version
from cnnctl.views.access import VersionView
from cnnctl.views.codec import to_json
from service.api.ask import Asked, Service
from service.api.declare import get
from service.api.who import check_same_site
from service.client.local import LocalClient
from service.commands.people.credentials import close_browser_session, open_browser_session
from service.domain.credentials import SESSION_LIFE
from service.errors import NotAuthenticated

router = APIRouter(tags=["browser"])


@get(router, f"{PREFIX}/version", VersionView)
def get_version() -> Response:
    """What answers here; anybody may ask."""
    return JSONResponse(to_json(VersionView(version=find_version())))


@router.get("/open/{secret}", include_in_schema=False)
def open_session(request: Request, secret: str) -> Response:
    """Use a link up, and give the browser its session."""
    service: Service = request.app.state.service
    origin = request.client.host if request.client else ""
    try:
        session = open_browser_session(service.store, secret, origin=origin)
    except NotAuthenticated:
        service.gatekeeper.count_unknown(request)
        raise
    answer = RedirectResponse("/", status_code=303, headers={"Referrer-Policy": "no-referrer"})
    answer.set_cookie(
        service.cookie,
        session,
        max_age=int(SESSION_LIFE.total_seconds()),
        secure=service.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/", include_in_schema=False)
def show_start(ask: Asked) -> Response:
    """Who the browser comes in as; the pages will begin here."""
    me = LocalClient(ask.service.store, ask.service.settings, ask.get_actor()).get_me()
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>cnnctl</title>
<h1>cnnctl {escape(find_version())}</h1><p>You are {escape(me.name)}, by {escape(me.via)}.</p>
<p><a href="{PREFIX}/jobs">Jobs</a> · <a href="{PREFIX}/gpus">GPUs</a> ·
<a href="{PREFIX}/openapi.json">all routes</a>, as JSON</p>
<form method="post" action="/close"><button>End this session</button></form></html>"""
    return HTMLResponse(
        page, headers={"Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-store"}
    )


@router.post("/close", include_in_schema=False)
def close_session(request: Request) -> Response:
    """End the browser's session."""
    service: Service = request.app.state.service
    check_same_site(request.headers)
    close_browser_session(service.store, request.cookies.get(service.cookie, ""))
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(service.cookie, secure=service.secure, httponly=True, samesite="lax")
    return answer
