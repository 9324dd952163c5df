"""The networks of the catalog, and each of them as it would be built."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.datastructures import QueryParams

from service.errors import NotFound
from service.web.address import check_query
from service.web.network_page import CLASSES, NetworkPage, describe_page
from service.web.parts import Page, Visit


def make_list(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """All architectures; the address says nothing more."""
    check_query(query, ())
    return Page(
        title="Networks",
        template="networks",
        section="Networks",
        command="cnnctl list",
        parts=[],
        values={"view": visit.client.list_catalog("architectures")},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network, drawn, and where a job with it begins."""

    page: NetworkPage
    drawing: Markup
    new: str
    """The address of a new job with the same fields."""


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """A network; the query has fields of its spec.

    Raises:
        NotFound: there is none of this name.
    """
    page = describe_page(visit.client, names["name"], query)
    if not page.fields:
        raise NotFound(page.error)
    given = {name: value for name, value in query.items() if value and name != CLASSES}
    view = Architecture(
        page=page,
        drawing=Markup(page.drawing),  # our own words; its texts are escaped
        new=f"/new?{urlencode({'architecture': page.architecture, **given})}",
    )
    return Page(
        title=page.architecture,
        template="network",
        section="Networks",
        command=page.describe_command or f"cnnctl describe {page.architecture}",
        parts=[],
        values={"view": view},
    )
