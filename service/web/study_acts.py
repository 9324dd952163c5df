"""What the buttons of the pages of studies do."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter
from starlette.responses import Response

from cnnctl.views.requests import StudyRequest
from service.api.ask import Asked
from service.client.local import LocalClient
from service.domain.choices import read_choice
from service.domain.states import Priority
from service.errors import CnnctlError, KeyReused, NotAuthenticated, NotFound, SpecError, TooManyRequests
from service.web.acting import act, make_key
from service.web.address import is_number
from service.web.answer import PageRoute, read_form, show, visiting
from service.web.studies_page import page_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)
SENT_BEFORE = (
    "This form has started a study already, and was changed after that. Start once more for another one"
)


def _read_seeds(text: str) -> int:
    if not is_number(text):
        raise SpecError(f"seeds is a whole number. Received: {text[:40]!r}")
    return int(text)


def read_request(form: Mapping[str, str]) -> StudyRequest:
    """The study that a form asks for.

    Raises:
        SpecError: a field takes something else, or both a file and a text were sent.
    """
    toml, file = form.get("toml", "").strip(), form.get("file", "").strip()
    if toml and file:
        raise SpecError("Give a file or a text, not both: it would not be clear which one is meant")
    seeds = form.get("seeds", "").strip()
    priority = read_choice(Priority, form.get("priority") or Priority.NORMAL.value, what="priority")
    return StudyRequest(
        name=form.get("name") or None,
        toml=(toml or file) or None,
        scale=form.get("scale", "").strip() or None,
        seeds=_read_seeds(seeds) if seeds else None,
        priority=priority.value,
        fresh="fresh" in form,
    )


@router.post("/studies")
def start(ask: Asked) -> Response:
    """Start a study; where it is refused, show the form with the reason."""
    try:
        return act(ask, lambda client, form: f"/studies/{client.start_study(read_request(form)).study}")
    except (NotAuthenticated, TooManyRequests):
        raise
    except KeyReused:
        return _show_refusal(ask, KeyReused(SENT_BEFORE))
    except CnnctlError as error:
        return _show_refusal(ask, error)


def _show_refusal(ask: Asked, error: CnnctlError) -> Response:
    with visiting(ask) as visit:
        page = page_of(visit, {**read_form(ask), "key": make_key()}, error=error)
        return show(page, visit, status=error.http_status)


ACTS: Mapping[str, Callable[[LocalClient, int, Mapping[str, str]], object]] = {
    "cancel": lambda client, study, _: client.cancel_study(study),
    "extend": lambda client, study, form: client.extend_study(
        study, seeds=_read_seeds(form.get("seeds", "").strip())
    ),
    "rerun": lambda client, study, _: client.rerun_study(study),
}


@router.post("/studies/{study}/{name}")
def change_study(ask: Asked, study: int, name: str) -> Response:
    """Do one of `ACTS` to a study."""
    if name not in ACTS:
        raise NotFound(f"There is no act {name[:40]!r}")

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        ACTS[name](client, study, form)
        return f"/studies/{study}"

    return act(ask, do)
