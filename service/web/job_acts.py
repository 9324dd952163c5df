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

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def _set_labels(client: LocalClient, job: int, form: Mapping[str, str]) -> object:
    tags, before = form.get("tags", "").split(), client.get_job(job).tags
    request = LabelRequest(
        name=form.get("name", ""),
        note=form.get("note", ""),
        add_tags=[tag for tag in tags if tag not in before],
        remove_tags=[tag for tag in before if tag not in tags],
    )
    return client.change_labels(job, request)


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
