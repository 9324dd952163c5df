"""What is wrong with the service, and what on its disk may go: for administrators."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.responses import Response

from cnnctl.views.requests import GarbageRequest
from service.api.ask import Asked
from service.errors import SpecError
from service.web.address import check_query, is_number
from service.web.answer import PageRoute, read_form, show, visiting
from service.web.parts import Page, Visit

router = APIRouter(route_class=PageRoute, include_in_schema=False)
DAYS = 30


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """What the doctor finds now; with `deep` in the address, also by reading whole checkpoints.

    Raises:
        NotAllowed: the person is no administrator.
    """
    check_query(query, ("deep",))
    deep = query.get("deep") == "yes"
    return Page(
        title="Service",
        template="service",
        command="cnnctl doctor --deep" if deep else "cnnctl doctor",
        parts=[],
        values={"findings": visit.client.examine(deep=deep), "days": DAYS},
    )


@router.post("/service/garbage")
def collect_garbage(ask: Asked) -> Response:
    """Delete what no job can still need, or with `rehearse` show what would go."""
    with visiting(ask) as visit:
        form = read_form(ask)
        request = GarbageRequest(
            older_than_days=_read_days(form.get("days", "")),
            orphans="orphans" in form,
            dry_run="rehearse" in form,
        )
        found = visit.client.collect_garbage(request)
        words = ["cnnctl gc", f"--older-than {request.older_than_days}"]
        words += ["--orphans"] * request.orphans + ["--dry-run"] * request.dry_run
        values = {"found": found, "days": request.older_than_days, "orphans": request.orphans}
        page = Page(title="Disk", template="garbage", command=" ".join(words), parts=[], values=values)
        return show(page, visit)


def _read_days(text: str) -> int:
    if not is_number(text):
        raise SpecError(f"The days are a whole number. Received: {text[:40]!r}")
    return int(text)
