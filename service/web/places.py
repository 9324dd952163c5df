"""Which page stands at an address; the address is all that decides it, besides who asks."""

from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from starlette.datastructures import QueryParams
from starlette.routing import compile_path

from service.errors import NotFound
from service.web import (
    architecture_pages,
    audit_page,
    compare_page,
    dataset_pages,
    gpus_page,
    job_page,
    jobs_page,
    new_page,
    now_page,
    people_page,
    service_page,
    studies_page,
    study_page,
)
from service.web.parts import Page, Visit

MakePage = Callable[[Visit, Mapping[str, str], QueryParams], Page]
"""Gets who asks, what the path names, and the query."""
PLACES: Mapping[str, MakePage] = {
    "/": now_page.make_page,
    "/jobs/{job}": job_page.make_page,
    "/compare": compare_page.make_page,
    "/jobs": jobs_page.make_page,
    "/new": new_page.make_page,
    "/networks": architecture_pages.make_list,
    "/networks/{name}": architecture_pages.make_page,
    "/datasets": dataset_pages.make_list,
    "/datasets/{name}": dataset_pages.make_page,
    "/studies": studies_page.make_page,
    "/studies/{study}": study_page.make_page,
    "/gpus": gpus_page.make_page,
    "/people": people_page.make_page,
    "/people/audit": audit_page.make_page,
    "/service": service_page.make_page,
}
_PATTERNS = [(compile_path(place)[0], make) for place, make in PLACES.items()]


def find_page(address: str, visit: Visit) -> Page:
    """The page at a path with its query.

    Raises:
        NotFound: there is none.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        raise NotFound("This is no address of a page") from None
    for pattern, make in _PATTERNS:
        if found := pattern.match(parts.path):
            names = {name: unquote(value) for name, value in found.groupdict().items()}
            return make(visit, names, QueryParams(parts.query))
    raise NotFound(f"There is no page at {parts.path}")
