"""Several jobs side by side: only what differs, their curves, and settings against results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import QueryParams

from cnnctl.views.access import AuditView
from cnnctl.views.jobs import ComparisonView
from service.web.answer import digest_of
from service.web.compare_address import FILTERS, METRICS, MOST_JOBS, Asked, find_jobs, read_address
from service.web.compare_scatter import check_scatter, list_settings, rank
from service.web.curve_axis import AXES, LABELS
from service.web.parts import Page, Part, Visit


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address is the jobs, how they are shown, and the order of the table."""
    asked = read_address(query)
    return Page(
        title="Compare",
        template="compare",
        section="Compare",
        command=f"cnnctl compare {' '.join(map(str, find_jobs(asked, visit))) or 'JOB JOB'}",
        parts=[
            Part(
                name="jobs",
                look=partial(compare, asked),
                about=asked.link(),
                seconds=30,
                concerns=partial(may_change, asked),
            )
        ],
        values={
            "asked": {name: " ".join(words) for name, words in asked.typed.items()},
            "filters": FILTERS,
            "chosen": asked.chosen,
        },
    )


def may_change(asked: Asked, entry: AuditView, _: object) -> bool:
    """Whether an entry is about one of the jobs, or may be about one that a filter finds."""
    return entry.subject == "job" and (not asked.jobs or entry.job in asked.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A field in which the jobs differ."""

    section: str
    field: str
    numeric: bool
    link: str
    """The address of the page sorted by it; of the one that it is sorted by, the other way round."""
    order: str
    """`ascending` or `descending` where the table is sorted by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that the page shows."""

    jobs: Sequence[int]
    full: bool
    """Whether there may be more jobs than are shown."""
    columns: Sequence[Column]
    rows: Sequence[tuple[int, Sequence[object]]]
    metric: str
    metrics: Sequence[str]
    asked: Asked
    axes: Mapping[str, str]
    settings: Sequence[str]
    results: Sequence[str]
    alike_weights: bool
    version: str
    """Another one with each change of the table."""


def compare(asked: Asked, visit: Visit) -> Comparison | None:
    """The jobs side by side; None where there are fewer than two."""
    jobs = find_jobs(asked, visit)
    if len(jobs) < 2:
        return None
    view = visit.client.compare(jobs)
    check_scatter(visit.client, view, asked.scatter)
    columns, rows = make_table(view, asked)
    digests = set(view.weights_digest)
    return Comparison(
        jobs=view.jobs,
        full=not asked.jobs and len(jobs) == MOST_JOBS,
        columns=columns,
        rows=rows,
        metric=find_metric(asked, view),
        metrics=view.metric_names,
        asked=asked,
        axes={name: LABELS[name] for name in AXES},
        settings=[one.field for one in list_settings(view)],
        results=[one.field for one in view.metrics],
        alike_weights=len(digests) == 1 and None not in digests,
        version=digest_of(repr(rows)),
    )


def find_metric(asked: Asked, view: ComparisonView) -> str:
    """The metric that is asked for, else the most telling that some job has."""
    known = [name for name in METRICS if name in view.metric_names]
    return asked.metric or next(iter([*known, *view.metric_names]), METRICS[-1])


def make_table(
    view: ComparisonView, asked: Asked
) -> tuple[Sequence[Column], Sequence[tuple[int, Sequence[object]]]]:
    """Differing fields as columns, jobs as rows, in the order that is asked for."""
    sections = {
        "labels": view.labels,
        "outcome": view.outcome,
        "spec": view.spec,
        "scheduling": view.scheduling,
        "metrics": sorted(view.metrics, key=lambda one: one.field not in METRICS),
        "environment": view.environment,
    }
    fields = [(section, one) for section, some in sections.items() for one in some]
    columns = [_make_column(section, one.field, one.values, asked) for section, one in fields]
    rows = [(job, [one.values[at] for _, one in fields]) for at, job in enumerate(view.jobs)]
    name, falls = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    if name == "job":
        rows.sort(key=lambda row: row[0], reverse=falls)
    for at, (_, one) in enumerate(fields):
        if one.field == name:
            there = [row for row in rows if row[1][at] is not None]
            there.sort(key=lambda row: rank(row[1][at]), reverse=falls)
            return columns, [*there, *(row for row in rows if row[1][at] is None)]
    return columns, rows


def _make_column(section: str, field: str, values: Sequence[object], asked: Asked) -> Column:
    order = {field: "ascending", f"-{field}": "descending"}.get(asked.sort, "")
    numeric = all(isinstance(value, (int, float, type(None))) for value in values)
    # What is better is more often what is larger of a result, and smaller of a setting.
    falls = order == "ascending" or (section == "metrics" and not order)
    link = asked.link(sort=f"-{field}" if falls else field)
    return Column(section=section, field=field, numeric=numeric, link=link, order=order)
