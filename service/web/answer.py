"""Answers of pages: templates with the headers that keep other sites and other people's words out."""

import hashlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from cnnctl.version import find_version
from service.api.ask import Ask
from service.api.problems import describe_problem
from service.client.local import LocalClient
from service.domain.people import Actor
from service.errors import CnnctlError, NotAuthenticated, SpecError
from service.web import static, words
from service.web.multipart import KIND, read_parts
from service.web.parts import Page, Part, Visit

SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_FIELDS = 2000  # of a form


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words.FILTERS)
    environment.globals.update(static=static.ADDRESS, version=find_version())
    return environment


_environment = _make_environment()


def render(template: str, **values: Any) -> str:
    """A template, with all that comes from outside escaped."""
    return _environment.get_template(template).render(values)


def render_part(page: Page, part: Part, visit: Visit, view: Any) -> str:
    """A part with its view; only a personal one is told whose it is."""
    values = {"view": view, **({"me": visit.me} if part.personal else {})}
    return render(f"{page.template}/{part.name}.html", **values)


def digest_of(html: str) -> str:
    """By which a browser says what it has of a part."""
    return hashlib.blake2b(html.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()


def visit_of(ask: Ask) -> Visit:
    """Who opens a page.

    Raises:
        NotAuthenticated, NotAllowed, TooManyRequests: see `Gatekeeper.get_actor`.
    """
    # Each page checks the query of its own address.
    return visit_by(ask, ask.service.gatekeeper.get_actor(ask.request))


def visit_by(ask: Ask, actor: Actor) -> Visit:
    """The same where it is known who opens it."""
    client = LocalClient(ask.service.store, ask.service.settings, actor)
    return Visit(client=client, me=client.get_me())


@contextmanager
def visiting(ask: Ask) -> Iterator[Visit]:
    """The same for an answer that is made in the block, which counts among those that the person waits for.

    Raises:
        TooManyRequests: they wait for as many as they may; see also `visit_of`.
    """
    visit = visit_of(ask)
    with ask.service.shares.take(visit.me.name):
        yield visit


def show(page: Page, visit: Visit, *, status: int = 200) -> Response:
    """A whole page."""
    parts = {part.name: _wrap(part, render_part(page, part, visit, part.look(visit))) for part in page.parts}
    return answer(f"{page.template}.html", status=status, page=page, parts=parts, me=visit.me, **page.values)


def _wrap(part: Part, html: str) -> Markup:
    # Both are our own words; the text within was escaped by its template.
    return Markup(f'<div id="part-{part.name}" data-digest="{digest_of(html)}">{html}</div>')


def answer(template: str, *, status: int = 200, **values: Any) -> Response:
    """A template as an answer of its own."""
    text = render(template, **values)
    return HTMLResponse(text.encode("utf-8", "replace"), status, SAFE_HEADERS)


def read_form(ask: Ask) -> Mapping[str, str]:
    """What a form has sent; of a name that comes twice, the last.

    Raises:
        SpecError: it has more fields than any of ours.
    """
    return dict(list_fields(ask))


def list_fields(ask: Ask) -> list[tuple[str, str]]:
    """What a form has sent, in its order.

    Raises:
        SpecError: it has more fields than any of ours, or is none.
    """
    kind = ask.request.headers.get("content-type", "")
    try:
        if kind.startswith(KIND):
            return [(part.name, part.text) for part in read_parts(ask.body, kind, most=MOST_FIELDS)]
        return parse_qsl(
            ask.body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(ask.body),
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise SpecError("What was sent is no form of this service") from None


class PageRoute(APIRoute):
    """Says what goes wrong in a page of its own, instead of in JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except CnnctlError as error:
                return show_problem(request, error)
            except RequestValidationError as error:
                first = error.errors()[0]
                field = ".".join(str(word) for word in first["loc"][1:])
                return show_problem(request, SpecError(f"{field}: {first['msg']}"))

        return handle_page


def show_problem(request: Request, error: CnnctlError) -> Response:
    """The page that says what went wrong, and where to go from there."""
    problem = describe_problem(error)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if isinstance(error, NotAuthenticated):
        back = here if request.method == "GET" else "/"
        return answer(
            "sign_in.html", status=problem.status, back=back, problem=problem if request.cookies else None
        )
    return answer("problem.html", status=problem.status, problem=problem, me=None, back=_find_back(request))


def _find_back(request: Request) -> str:
    """The page that sent the form or had the link; else the first one."""
    sent_from = urlsplit(request.headers.get("referer", ""))
    if sent_from.netloc != request.headers.get("host"):
        return "/"
    return sent_from.path + (f"?{sent_from.query}" if sent_from.query else "")
