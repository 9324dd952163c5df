"""A comparison is looked at anew only when something happened to its jobs."""

from datetime import datetime, timezone

import pytest
from starlette.datastructures import QueryParams

from cnnctl.views.access import AuditView
from cnnctl.views.states import Subject
from service.web.compare_address import read_address
from service.web.compare_page import may_change


@pytest.mark.parametrize(
    ("address", "subject", "job", "concerned"),
    [
        ("jobs=1,2", "job", 2, True),
        ("jobs=1,2", "job", 3, False),
        ("jobs=1,2", "token", None, False),
        ("owner=ada", "job", 3, True),
        ("owner=ada", "gpu", None, False),
    ],
)
def test_only_entries_about_its_jobs_concern_a_comparison(
    address: str, subject: Subject, job: int | None, *, concerned: bool
) -> None:
    entry = AuditView(
        entry=1,
        at=datetime.now(timezone.utc),
        actor="ada",
        via="browser",
        origin="",
        subject=subject,
        name="",
        job=job,
        action="added",
        detail="",
        before=None,
        after=None,
    )
    assert may_change(read_address(QueryParams(address)), entry, None) is concerned
