"""The datasets that one can train on: the lab's own, with a form to add one, and those of the catalog."""

from collections.abc import Mapping

from starlette.datastructures import QueryParams

from cnnctl.views.datasets import DatasetPage
from service.api.guard import MOST_PIECE_BYTES
from service.domain.datasets import NAME, NAME_RULE
from service.web.address import check_query
from service.web.parts import Page, Part, Visit, about_subjects

SECONDS = 30.0


def make_list(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """All datasets; the address says nothing more."""
    check_query(query, ())
    return Page(
        title="Datasets",
        template="datasets",
        section="Datasets",
        command="cnnctl dataset list; cnnctl dataset add NAME PATH",
        parts=[
            Part(
                name="table",
                look=lambda one: one.client.list_datasets(),
                seconds=SECONDS,
                concerns=about_subjects("dataset"),
            ),
            Part(name="uploads", look=lambda one: one.client.list_uploads(), personal=True, seconds=SECONDS),
        ],
        values={
            "catalog": visit.client.list_catalog("datasets"),
            "may_add": visit.me.scope != "read",
            "name_pattern": NAME.pattern.replace("-]", r"\-]"),  # as browsers read it
            "name_rule": NAME_RULE,
            "most_bytes": MOST_PIECE_BYTES,
        },
    )


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """One of the lab's own datasets.

    Raises:
        DatasetNotFound: there is none of this name.
    """
    check_query(query, ())
    name = names["name"]

    def look(one: Visit) -> tuple[DatasetPage, bool]:
        page = one.client.get_dataset(name)
        return page, one.may_change(page.dataset.owner)

    return Page(
        title=visit.client.get_dataset(name).dataset.name,
        template="dataset",
        section="Datasets",
        command=f"cnnctl dataset show {name}; cnnctl status --dataset {name}",
        parts=[Part(name="about", look=look, about=name, personal=True, seconds=SECONDS)],
    )
