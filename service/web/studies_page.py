"""The page of studies: those that were started, the catalog, and a form for a study file."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from starlette.datastructures import QueryParams

from cnnctl.views.states import Priority
from cnnctl.views.studies import StudyView, Verdict
from service.domain.studies.study_file import LARGEST_BYTES
from service.errors import CnnctlError, SpecError
from service.web.acting import make_key
from service.web.address import check_query, is_number
from service.web.parts import Page, Part, Visit, about_subjects
from service.web.study_findings import FINDINGS

NEWEST, MOST = 50, 1000
JUDGING_SECONDS = 1.0  # for verdicts that nobody has asked for yet; the rest come with the next look
SECONDS = 10.0


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address says how many of those that were started it lists."""
    check_query(query, ("limit",))
    return page_of(visit, {"key": make_key()}, limit=_read_limit(query.get("limit", "")))


def _read_limit(text: str) -> int:
    limit = int(text) if is_number(text, digits=5) else 0 if text else NEWEST
    if not 1 <= limit <= MOST:
        raise SpecError(f"limit must be from 1 to {MOST:,}. Received: {text[:40]!r}")
    return limit


def page_of(
    visit: Visit, form: Mapping[str, str], *, error: CnnctlError | None = None, limit: int = NEWEST
) -> Page:
    """The page with what a form has sent, and why that was refused."""
    return Page(
        title="Studies",
        template="studies",
        section="Studies",
        command="cnnctl study status; cnnctl study list; cnnctl study run NAME",
        parts=[
            Part(
                name="started",
                look=partial(list_started, limit=limit),
                about=limit,
                seconds=SECONDS,
                concerns=about_subjects("study"),
            )
        ],
        values={
            "catalog": visit.client.list_study_catalog(),
            "form": {**form, "toml": form.get("toml", "").strip() or form.get("file", "")},
            "refusal": "" if error is None else str(error),
            "may_start": visit.me.scope != "read",
            "priorities": get_args(Priority),
            "most_kib": LARGEST_BYTES // 1024,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A study that was started; its verdict where it is finished and has been judged."""

    view: StudyView
    verdict: Verdict | None
    words: str
    """Where there is no verdict, why."""


def list_started(visit: Visit, *, limit: int) -> tuple[Sequence[Started], int]:
    """Studies, the newest first, and the limit if there may be more of them."""
    views = visit.client.list_studies(limit=limit)
    until = time.monotonic() + JUDGING_SECONDS
    return [_judge(visit, view, until) for view in views], limit if len(views) == limit else 0


def _judge(visit: Visit, view: StudyView, until: float) -> Started:
    verdict, words = None, ""
    if view.state == "finished":
        try:
            found = FINDINGS.find(view)
            if found is None and time.monotonic() < until:
                found = FINDINGS.get(visit.client, view)
            verdict, words = (found.report.verdict, "") if found else (None, "is being judged")
        except CnnctlError:  # its page says why
            words = "cannot be judged"
    return Started(view=view, verdict=verdict, words=words)
