"""Acts on many jobs at once: each by its own use case, so that one that is refused stops no other."""

import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from cnnctl.client import Client
from cnnctl.views.jobs import JobStateView
from service.api.ask import Ask, Asked
from service.domain.choices import read_choice
from service.domain.states import Priority
from service.errors import CnnctlError, ServiceUnavailable, SpecError
from service.web.acting import do_by_key
from service.web.address import read_number
from service.web.answer import PageRoute, list_fields, show, visiting
from service.web.parts import Page

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_JOBS = 1000
ACTS: Mapping[str, Callable[[Client, int, str], JobStateView]] = {
    "cancel": lambda client, job, _: client.cancel(job),
    "pause": lambda client, job, _: client.pause(job),
    "hold": lambda client, job, _: client.hold(job),
    "resume": lambda client, job, _: client.resume(job),
    "retry": lambda client, job, _: client.retry(job),
    "priority": lambda client, job, priority: client.set_priority(job, priority),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What came of an act on a job: its state, or in `error` why it was refused."""

    job: int
    state: str = ""
    error: str = ""


@router.post("/jobs/acts")
def act_on_jobs(ask: Asked) -> Response:
    """Do one of `ACTS` to each job that was checked, and list what came of it."""
    with visiting(ask) as visit:
        fields = list_fields(ask)
        form = dict(fields)
        numbers = [read_number(value, what="job") for name, value in fields if name == "job"]
        name, priority = form.get("act", ""), form.get("priority", "")
        _check(name, priority, numbers)
        key = hashlib.sha256(ask.body).hexdigest() if form.get("key") else ""
        acted = _act_on_each(ask, numbers, lambda job, client: ACTS[name](client, job, priority).state, key)
        words = ["cnnctl", name, *map(str, numbers), *([priority] if name == "priority" else [])]
        page = Page(
            title="Jobs that were acted on",
            template="acted",
            section="Jobs",
            command=shlex.join(words),
            parts=[],
            values={
                "act": f"{name} {priority}" if name == "priority" else name,
                "done": [one for one in acted if not one.error],
                "refused": [one for one in acted if one.error],
                "back": form.get("back", ""),
            },
        )
        return show(page, visit)


def _check(name: str, priority: str, numbers: Sequence[int]) -> None:
    if name not in ACTS:
        raise SpecError(f"There is no act {name[:40]!r}. Acts: {', '.join(ACTS)}")
    if name == "priority":
        read_choice(Priority, priority, what="priority")
    if not 0 < len(numbers) <= MOST_JOBS:
        raise SpecError(f"Check from 1 to {MOST_JOBS:,} jobs. Checked: {len(numbers):,}")


def _act_on_each(
    ask: Ask, numbers: Sequence[int], act: Callable[[int, Client], str], key: str
) -> Sequence[Acted]:
    """What came of each; where the service is gone, the rest is not tried.

    By the key, what was done is not done again when its page is loaded again.
    """
    acted: list[Acted] = []
    actor, gone = ask.find_actor(), ""
    for number in numbers:
        try:
            if gone:
                acted.append(Acted(job=number, error=gone))
                continue
            state = do_by_key(ask, actor, key and f"{key}-{number}", partial(act, number))
            acted.append(Acted(job=number, state=state))
        except CnnctlError as error:
            acted.append(Acted(job=number, error=str(error)))
            gone = f"Not tried: {error}" if isinstance(error, ServiceUnavailable) else ""
    return acted
