"""The routes of pages."""

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from service.api.ask import Asked
from service.web.address import is_number
from service.web.answer import PageRoute, show, visiting
from service.web.places import PLACES, find_page

router = APIRouter(route_class=PageRoute, include_in_schema=False)
LONGEST_SEARCH = 200


def show_page(ask: Asked) -> Response:
    """The page at the address."""
    url = ask.request.url
    with visiting(ask) as visit:
        return show(find_page(f"{url.path}?{url.query}", visit), visit)


@router.get("/find")
def find(ask: Asked, q: str = "") -> Response:
    """Where the search of the head leads: to a job by its number, a person's jobs, or jobs with the words."""
    words = q.strip()[:LONGEST_SEARCH]
    number = words.removeprefix("#")
    if is_number(number):
        return RedirectResponse(f"/jobs/{number}", status_code=303)
    with visiting(ask) as visit:
        names = [user.name for user in visit.client.list_users()]
    person = next((name for name in names if name.lower() == words.lower()), None)
    asked = {"owner": person} if person else {"text": words}
    return RedirectResponse(f"/jobs?{urlencode(asked)}", status_code=303)


for place in PLACES:
    router.add_api_route(place, show_page, methods=["GET"])
