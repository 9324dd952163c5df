"""What the buttons of a job's page do."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter
from starlette.responses import Response

from cnnctl.views.requests import LabelRequest
from service.api.ask import Asked
from service.client.local import LocalClient
from service.errors import NotFound
from service.web.acting import act
from service.web.answer import PageRoute
from service.web.new_request import list_words

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def _set_labels(client: LocalClient, job: int, form: Mapping[str, str]) -> object:
    """Change what was changed in the form; what another has changed meanwhile stays."""
    texts = {
        name: form.get(name, "")
        for name in ("name", "note")
        if form.get(name, "") != form.get(f"was_{name}", "")
    }
    tags, were = ({word.lower() for word in list_words(form, name)} for name in ("tags", "was_tags"))
    gone = (were - tags).intersection(client.get_job(job).tags)
    return client.change_labels(job, LabelRequest(**texts, add_tags=[*tags - were], remove_tags=[*gone]))


ACTS: Mapping[str, Callable[[LocalClient, int, Mapping[str, str]], object]] = {
    "cancel": lambda client, job, _: client.cancel(job),
    "pause": lambda client, job, _: client.pause(job),
    "hold": lambda client, job, _: client.hold(job),
    "resume": lambda client, job, form: client.resume(job, from_start="from_start" in form),
    "retry": lambda client, job, _: client.retry(job),
    "priority": lambda client, job, form: client.set_priority(job, form.get("priority", "")),
    "labels": _set_labels,
}


@router.post("/jobs/{job}/{name}")
def change_job(ask: Asked, job: int, name: str) -> Response:
    """Do one of `ACTS` to a job."""
    if name not in ACTS:
        raise NotFound(f"There is no act {name[:40]!r}")

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        ACTS[name](client, job, form)
        return f"/jobs/{job}"

    return act(ask, do)
