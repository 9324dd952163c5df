"""The list of jobs: filtered, sorted and paged by its address alone, with acts on many of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from starlette.datastructures import QueryParams

from cnnctl.views.jobs import JobSummary
from cnnctl.views.requests import JobSort
from cnnctl.views.states import JobState, Priority
from service.errors import SpecError
from service.web.acting import make_key
from service.web.job_address import (
    NO_PROJECT,
    PAGE_LENGTH,
    Asked,
    find_number,
    find_text,
    in_words,
    read_address,
    to_command,
    to_link,
    to_query,
)
from service.web.parts import Page, Part, Visit, about_subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that can be shown; `sorts` are the orders that its head offers in turn."""

    label: str
    numeric: bool = False
    less: bool = False
    """Whether it is left out where there is little room."""
    sorts: Sequence[JobSort] = ()


COLUMNS: Mapping[str, Column] = {
    "job": Column(label="Job", numeric=True, sorts=("newest", "oldest")),
    "state": Column(label="State", sorts=("state",)),
    "what": Column(label="What", sorts=("network",)),
    "dataset": Column(label="Data", less=True, sorts=("dataset",)),
    "owner": Column(label="Who", sorts=("owner",)),
    "project": Column(label="Project", less=True),
    "tags": Column(label="Tags", less=True),
    "priority": Column(label="Priority", less=True, sorts=("priority",)),
    "gpus": Column(label="GPUs", numeric=True, less=True),
    "host": Column(label="Host", less=True),
    "epochs": Column(label="Epochs", less=True),
    "loss": Column(label="Loss", numeric=True, less=True),
    "accuracy": Column(label="Accuracy", numeric=True, less=True),
    "images": Column(label="Images", numeric=True, less=True),
    "submitted": Column(label="Submitted", numeric=True, less=True),
    "start": Column(label="Starts", numeric=True, less=True, sorts=("start",)),
    "ended": Column(label="Ended", numeric=True, less=True, sorts=("ended",)),
    "reason": Column(label="Why", less=True),
}
FOLDED = ("since", "ended_since", "like", "limit", "columns", NO_PROJECT)
SHOWN = ("job", "state", "what", "dataset", "owner", "epochs", "accuracy", "submitted", "reason")


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address is the filter, the order, where it goes on, and the columns."""
    asked = _leave_defaults_out(read_address(query))
    to_query(asked)  # refuses a moment or a number that is none, before the command line has it
    here = to_link(asked, before=find_text(asked, "before"))
    columns, of_jobs = _list_columns(asked), about_subjects("job")
    return Page(
        title="Jobs",
        template="jobs",
        section="Jobs",
        command=to_command(asked),
        parts=[
            Part(name="line", look=partial(get_line, asked), about=here, seconds=5, concerns=of_jobs),
            Part(
                name="table",
                look=partial(get_table, asked, columns),
                about=here,
                personal=True,
                seconds=5,
                concerns=of_jobs,
            ),
        ],
        values={
            "asked": {name: " ".join(values) for name, values in asked.items()},
            "states": get_args(JobState),
            "sorts": get_args(JobSort),
            "networks": [entry.name for entry in visit.client.list_catalog("architectures")],
            "datasets": [entry.name for entry in visit.client.list_catalog("datasets")],
            "columns": COLUMNS,
            "key": make_key(),
            "shown": columns,
            "is_filtered": bool(asked),
            "is_open": any(name in asked for name in FOLDED),
        },
    )


def _leave_defaults_out(asked: Asked) -> Asked:
    """A form sends all of its fields: so that the links on the page say only what differs."""
    defaults = {"sort": ["newest"], "limit": [str(PAGE_LENGTH)], "columns": list(SHOWN)}
    return {name: values for name, values in asked.items() if list(values) != defaults.get(name)}


def _list_columns(asked: Asked) -> Sequence[str]:
    wanted = asked.get("columns", SHOWN)
    if unknown := [name for name in wanted if name not in COLUMNS]:
        raise SpecError(f"There is no column {unknown[0][:40]!r}. Columns: {', '.join(COLUMNS)}")
    return [name for name in COLUMNS if name in wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLink:
    """How many of the jobs are in a state, and the address of these alone, or of all where it is chosen."""

    state: str
    count: int
    link: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How many jobs these are, in words."""

    found: int
    all: int
    words: str
    states: Sequence[StateLink]


def get_line(asked: Asked, visit: Visit) -> Line:
    """How many jobs pass the filter, by state; the states count what the rest of the filter lets through."""
    rest = {name: values for name, values in asked.items() if name != "state"}
    counts, chosen = visit.client.count_jobs(to_query(rest)), asked.get("state", ())
    return Line(
        found=sum(counts.states[state] for state in chosen) if chosen else counts.total,
        all=visit.client.count_jobs().total if in_words(rest) else counts.total,
        words=in_words(asked),
        states=[
            StateLink(
                state=state,
                count=count,
                link=to_link(rest, state=None if [state] == list(chosen) else state),
                chosen=state in chosen,
            )
            for state, count in counts.states.items()
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column."""

    name: str
    column: Column
    link: str
    """The address in the order that it offers; empty: it offers none."""
    sorted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A page of the jobs."""

    heads: Sequence[Head]
    jobs: Sequence[JobSummary]
    changeable: frozenset[int]
    """Those that the person may act on."""
    back: str
    next: str
    """The address of the next page; empty: there is none."""
    first: str
    """The address of the first page; empty: this is it."""
    priorities: Sequence[str] = get_args(Priority)


def get_table(asked: Asked, columns: Sequence[str], visit: Visit) -> Table:
    """The jobs of this page, in its order."""
    limit, before = find_number(asked, "limit"), find_number(asked, "before")
    sort: JobSort = find_text(asked, "sort") or "newest"  # type: ignore[assignment]  # checked when read
    limit = PAGE_LENGTH if limit is None else limit
    page = visit.client.list_jobs(to_query(asked), limit=limit, before=before, sort=sort)
    return Table(
        heads=[_make_head(asked, name, sort) for name in columns],
        jobs=page.items,
        changeable=frozenset(job.job for job in page.items if _may_change(visit, job)),
        back=to_link(asked, before=find_text(asked, "before")).partition("?")[2],
        next=to_link(asked, before=str(page.next)) if page.next else "",
        first=to_link(asked) if before else "",
    )


def _make_head(asked: Asked, name: str, sort: JobSort) -> Head:
    sorts = COLUMNS[name].sorts
    offered = next((one for one in sorts if one != sort), "")
    link = to_link(asked, sort=None if offered == "newest" else offered) if offered else ""
    return Head(name=name, column=COLUMNS[name], link=link, sorted=sort in sorts)


def _may_change(visit: Visit, job: JobSummary) -> bool:
    return visit.may_change(job.owner) and job.state != "succeeded"
