"""What the form of a new job does: try it, or queue it once."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import Response

from service.api.ask import Asked
from service.client.local import LocalClient
from service.errors import CnnctlError, KeyReused, NotAuthenticated, TooManyRequests
from service.web.acting import act
from service.web.answer import PageRoute, answer, read_form, show, visiting
from service.web.new_page import fill_in, get_request, page_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)
SENT_BEFORE = (
    "This form has queued a job already, and was changed after that. Submit it once more to queue another one"
)


@router.post("/new")
def submit(ask: Asked) -> Response:
    """Queue the job; where it is refused, show the form with the reason."""
    try:
        return act(ask, _submit)
    except (NotAuthenticated, TooManyRequests):
        raise
    except KeyReused:
        return _show_refusal(ask, {**read_form(ask), "key": ""}, KeyReused(SENT_BEFORE))
    except CnnctlError as error:
        return _show_refusal(ask, read_form(ask), error)


def _submit(client: LocalClient, form: Mapping[str, str]) -> str:
    return f"/jobs/{client.submit(get_request(client, form)).job}"


def _show_refusal(ask: Asked, form: Mapping[str, str], error: CnnctlError) -> Response:
    with visiting(ask) as visit:
        return show(page_of(fill_in(visit, form, error=error)), visit, status=error.http_status)


@router.post("/new/try")
def rehearse(ask: Asked) -> Response:
    """The form with what its submission would come to."""
    with visiting(ask) as visit:
        return show(page_of(fill_in(visit, read_form(ask), rehearse=True)), visit)


@router.post("/new/form")
def rehearse_part(ask: Asked) -> Response:
    """The same without the page around it, for a form that is being filled in."""
    with visiting(ask) as visit:
        return answer("new/form.html", view=fill_in(visit, read_form(ask), rehearse=True))
