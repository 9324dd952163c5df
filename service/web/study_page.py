"""The page of a study: the claim, what may be said of it, and the runs that say so."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.datastructures import QueryParams

from cnnctl.views.access import AuditView
from cnnctl.views.studies import ContrastView, StudyReport, StudyView
from service.domain.states import Stage
from service.domain.studies.statistics import MOST_SEEDS
from service.domain.studies.words import format_size
from service.errors import CnnctlError
from service.web.address import check_query, read_number
from service.web.parts import Page, Part, Visit
from service.web.study_findings import FINDINGS, Finding
from service.web.study_pictures import Picture, list_pictures
from service.web.study_runs import Runs, arrange_runs

SLOW = 60  # times as seldom, a study is looked at anew that has ended


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page of a study by its number.

    Raises:
        StudyNotFound, NotFound: there is no such study.
    """
    check_query(query, ())
    study = read_number(names["study"], what="study")
    view = visit.client.get_study(study)
    slow = SLOW if view.ended_at else 1

    def part(name: str, look: Callable[[Visit, int], Any], *, seconds: int = 5) -> Part:
        return Part(
            name=name,
            look=partial(_look, look=look, study=study),
            about=(study, slow),
            personal=name == "acts",
            seconds=seconds * slow,
            concerns=partial(_concerns, study),
        )

    return Page(
        title=f"{study} · {view.name}",
        template="study",
        section="Studies",
        command=f"cnnctl study status {study}; cnnctl study report {study}",
        parts=[
            part("head", get_head),
            part("acts", get_acts),
            part("pictures", draw_pictures),
            part("contrasts", list_contrasts),
            part("runs", list_runs),
            part("side", get_side, seconds=30),
        ],
        values={"study": study},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A part's own view, and the jobs of the study, whose ends change it."""

    own: Any
    jobs: Collection[int]


def _look(visit: Visit, *, look: Callable[[Visit, int], Any], study: int) -> Looked:
    found = find_finding(visit, study)
    jobs = frozenset(run.job for run in found.runs if run.job) if found else frozenset()
    return Looked(own=look(visit, study), jobs=jobs)


def _concerns(study: int, entry: AuditView, view: Looked | None) -> bool:
    if entry.subject == "study":
        return entry.name == str(study)
    return view is not None and entry.job in view.jobs


def get_view(visit: Visit, study: int) -> StudyView:
    """How far a study is, which all parts ask for."""
    return visit.once(("study", study), lambda: visit.client.get_study(study))


def find_finding(visit: Visit, study: int) -> Finding | None:
    """What it came to so far; None where that cannot be said."""
    found = _ask_finding(visit, study)
    return found if isinstance(found, Finding) else None


def _ask_finding(visit: Visit, study: int) -> Finding | str:
    """What it came to, or why that cannot be said."""

    def ask() -> Finding | str:
        try:
            return FINDINGS.get(visit.client, get_view(visit, study))
        except CnnctlError as error:
            return str(error)

    return visit.once(("finding", study), ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is to be known first."""

    view: StudyView
    report: StudyReport | None
    trouble: str
    """Why there is no report."""
    warnings: Sequence[str]
    """What has to be known before a verdict is believed."""


def get_head(visit: Visit, study: int) -> Head:
    """Claim, verdict, size and uncertainty, and what was decided beforehand."""
    found = _ask_finding(visit, study)
    view = get_view(visit, study)
    if isinstance(found, str):
        return Head(view=view, report=None, trouble=found, warnings=[])
    report = found.report
    undecided = [f"This scale cannot decide it: {report.undecided}"] if report.undecided else []
    return Head(view=view, report=report, trouble="", warnings=[*undecided, *report.remarks])


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What this person may do to the study now."""

    view: StudyView
    names: Sequence[str]


def get_acts(visit: Visit, study: int) -> Acts:
    """The acts that make sense in the study's state; the use cases say who may."""
    view, found = get_view(visit, study), find_finding(visit, study)
    is_measured = found is not None and any(run.stage == Stage.MEASURE.value for run in found.runs)
    may = {
        "cancel": view.ended_at is None,
        "rerun": view.state in ("held", "cancelled") or (view.state == "finished" and view.failed > 0),
        "extend": view.state != "cancelled" and is_measured,
    }
    names = [name for name, does in may.items() if does]
    return Acts(view=view, names=names if visit.may_change(view.owner) else [])


def draw_pictures(visit: Visit, study: int) -> tuple[int, Sequence[Picture]]:
    """The study's number, and its forest, dots and curves."""
    found = find_finding(visit, study)
    return study, list_pictures(found.report) if found else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A contrast with its figures in words."""

    view: ContrastView
    metric: str
    """What the metric is."""
    size: str
    interval: str
    never: int
    """Runs that never arrived."""
    needed: str
    """As in `about 24`, where more seeds would make it strong enough."""


def list_contrasts(visit: Visit, study: int) -> tuple[Sequence[Contrast], Sequence[Any]]:
    """The contrasts, the claim's first, and the arms."""
    found = find_finding(visit, study)
    if found is None:
        return [], []
    report = found.report
    return [_describe(one, report.metrics.get(one.metric, "")) for one in report.contrasts], report.arms


def _describe(one: ContrastView, metric: str) -> Contrast:
    def form(value: float) -> str:
        return format_size(value, margin=one.margin, ratio=one.ratio)

    times = " times" if one.ratio else ""
    has_interval = one.low is not None and one.high is not None
    return Contrast(
        view=one,
        metric=metric,
        size="–" if one.mean is None else f"{form(one.mean)}{times}",
        interval=f"{form(one.low)} to {form(one.high)}" if has_interval else "",  # type: ignore[arg-type]
        never=one.censored_first + one.censored_second,
        needed=_say_needed(one),
    )


def _say_needed(one: ContrastView) -> str:
    if one.verdict != "too weak" or one.needed is None or one.needed <= one.pairs:
        return ""
    return f"more than {MOST_SEEDS:,}" if one.needed >= MOST_SEEDS else f"about {one.needed:,}"


def list_runs(visit: Visit, study: int) -> Runs | None:
    """The runs with their jobs, paired by seed; None where they cannot be read."""
    found = find_finding(visit, study)
    return arrange_runs(study, found) if found else None


def get_side(visit: Visit, study: int) -> tuple[StudyView, StudyReport | None]:
    """What was decided beforehand, and files."""
    found = find_finding(visit, study)
    return get_view(visit, study), found.report if found else None
