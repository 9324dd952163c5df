"""The address of a comparison: which jobs, and how their curves are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from cnnctl.views.requests import JobQuery
from cnnctl.views.states import JobState
from service.errors import SpecError
from service.web.address import check_query, check_words, is_number, read_parameter
from service.web.curve_axis import AXES, LOGARITHMIC, AxisName
from service.web.job_address import find_text, to_query
from service.web.parts import Visit

FILTERS = ("owner", "state", "project", "tag", "network", "dataset", "since", "text")
VIEW = ("metric", "x", "y", "smooth", "group", "scatter", "sort")
KNOWN = ("jobs", *FILTERS, *VIEW)
MANY = ("jobs", "state", "tag", "scatter")  # may be repeated, or joined by commas
WINDOW = ("start", "end")
MOST_JOBS = 100
MOST_SMOOTH = 0.99
METRICS = ("val_accuracy", "val_loss", "accuracy", "loss")  # the first of these that jobs have is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an address asks for."""

    typed: Mapping[str, Sequence[str]]
    """The parameters that are not empty."""
    jobs: Sequence[int]
    query: JobQuery
    metric: str
    x: AxisName
    logarithmic: bool
    smooth: float
    grouped: bool
    scatter: Sequence[str]
    """A setting and a metric, or nothing."""
    sort: str

    @property
    def chosen(self) -> bool:
        """Whether it says which jobs."""
        return any(name in self.typed for name in ("jobs", *FILTERS))

    def link(self, path: str = "/compare", **changes: str | None) -> str:
        """The address with changes; None takes a parameter out."""
        values = {**self.typed, **{name: [text] if text else [] for name, text in changes.items()}}
        joined = {name: ",".join(values[name]) for name in (*KNOWN, *WINDOW, "chart") if values.get(name)}
        return f"{path}?{urlencode(joined, safe=',')}" if joined else path


def read_address(query: QueryParams, *, also: Sequence[str] = ()) -> Asked:
    """What is asked for.

    Raises:
        SpecError: a parameter is not known, or takes something else.
    """
    check_query(query, (*KNOWN, *also))
    typed = {name: words for name in KNOWN if (words := read_parameter(name, query.getlist(name), many=MANY))}
    check_words("state", typed.get("state", ()), get_args(JobState))
    scatter = typed.get("scatter", ())
    if len(scatter) not in (0, 2):
        raise SpecError("scatter takes a setting and a metric, as in scatter=optimizer.lr,val_accuracy")
    axis = _choose("x", typed, AXES) or "step"
    grouped = _choose("group", typed, ("seed",)) == "seed"
    if grouped and axis == "time":
        raise SpecError("The mean of several jobs is taken over steps or epochs: choose x=step or x=epoch")
    return Asked(
        typed=typed,
        jobs=[_read_job(word) for word in typed.get("jobs", ())],
        query=to_query(typed),
        metric=find_text(typed, "metric"),
        x=axis,  # type: ignore[arg-type]  # it is one of AXES
        logarithmic=_choose("y", typed, (LOGARITHMIC,)) == LOGARITHMIC,
        smooth=read_smooth(find_text(typed, "smooth")),
        grouped=grouped,
        scatter=scatter,
        sort=find_text(typed, "sort"),
    )


def _choose(name: str, typed: Mapping[str, Sequence[str]], known: Sequence[str]) -> str:
    check_words(name, typed.get(name, ()), known)
    return find_text(typed, name)


def _read_job(word: str) -> int:
    number = word.removeprefix("#")
    if not is_number(number, digits=9):
        raise SpecError(f"jobs takes numbers, as in jobs=7,9,12. Received: {word[:40]!r}")
    return int(number)


def read_smooth(text: str) -> float:
    """How much of what was before each point keeps.

    Raises:
        SpecError: it is no number from 0 to 0.99.
    """
    try:
        weight = float(text or 0)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MOST_SMOOTH:
        raise SpecError(f"smooth takes a number from 0 to {MOST_SMOOTH}. Received: {text[:40]!r}")
    return weight


def read_window(query: QueryParams) -> tuple[float, float] | None:
    """The part of the horizontal axis that is asked for; None: all of it.

    Raises:
        SpecError: it is none.
    """
    texts = [query.get(name, "") for name in WINDOW]
    if not any(texts):
        return None
    try:
        start, end = map(float, texts)
    except ValueError:
        start, end = 0.0, -1.0
    if not 0 <= start <= end < 2**62:
        raise SpecError("start and end take the two ends of a part of the axis")
    return start, end


def find_jobs(asked: Asked, visit: Visit) -> Sequence[int]:
    """The jobs that are named, else the newest hundred that pass the filter.

    Raises:
        SpecError: more are named, or the filter is beyond its bounds.
    """
    if len(asked.jobs) > MOST_JOBS:
        raise SpecError(f"At most {MOST_JOBS} jobs are compared. Received: {len(asked.jobs)}")
    if asked.jobs or not asked.chosen:
        return asked.jobs
    found = visit.once(
        ("compared", asked.link()), lambda: visit.client.list_jobs(asked.query, limit=MOST_JOBS)
    )
    return [job.job for job in found.items]
