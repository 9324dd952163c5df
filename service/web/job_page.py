"""The page of a job: how it comes along, why, with what, and what can be done to it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import PurePath
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from cnnctl.files import BEST_FILE, NAMES
from cnnctl.views.jobs import DifferenceView, JobFile, JobView, ProgressView, SpecView
from service.commands.networks.sent_images import MOST_IMAGES
from service.domain.states import FINISHED, RETRYABLE, JobState
from service.errors import CnnctlError
from service.web.address import check_query, check_words, is_number, read_number
from service.web.ansi import Piece, color_lines
from service.web.curve_axis import AXES, LABELS, LOGARITHMIC, read_axis, read_logarithmic
from service.web.heat_map import Link, draw_heat
from service.web.lanes import Lane, draw_lanes, list_restarts
from service.web.parts import Page, Part, Visit, about_job

MOST_LINES = 300
SLOW = 60  # times as seldom, a job is looked at anew that has ended
PARAMETERS = ("find", "heat", "x", "y", "files")
SHA256 = "sha256"  # the only word that `files` takes: to read large ones takes seconds
OF_STUDY = "study-"  # and its number: a tag


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page of a job by its number.

    Raises:
        JobNotFound, NotFound: there is no such job.
    """
    check_query(query, PARAMETERS)
    job = read_number(names["job"], what="job")
    typed = {name: text for name in PARAMETERS if (text := query.get(name, ""))}
    words, quantity, digests = (typed.get(name, "") for name in ("find", "heat", "files"))

    def link(**changes: str) -> str:
        return f"/jobs/{job}?{urlencode({**typed, **changes})}"

    axes, here = read_axes(typed, link), link()
    check_words("files", [digests] if digests else [], [SHA256])
    view = visit.get_job(job)

    def part(name: str, look: Callable[[Visit], Any], *, seconds: int, about: Hashable = None) -> Part:
        return Part(
            name=name,
            look=look,
            about=(job, about),
            personal=name == "acts",
            seconds=lambda one: seconds * (SLOW if JobState(one.get_job(job).state) in FINISHED else 1),
            concerns=about_job(job),
        )

    return Page(
        title=f"{job} · {_title(view)}",
        template="job",
        section="Jobs",
        command=f"cnnctl status {job}; cnnctl metrics {job}; cnnctl logs -f {job}",
        parts=[
            part("head", lambda one: get_head(one, job), seconds=5),
            part("acts", lambda one: get_acts(one, job), seconds=30),
            part("curves", lambda one: get_charts(one, job, axes), seconds=5, about=axes),
            part("heat", lambda one: draw_heat(one, job, quantity, link), seconds=20, about=here),
            part("attempts", lambda one: list_lanes(one, job), seconds=30),
            part("log", lambda one: read_tail(one, job, words), seconds=5, about=words),
            part("side", lambda one: get_side(one, job, link, digests=bool(digests)), seconds=30, about=here),
        ],
        values={"job": job, "find": words, "kept": {name: typed[name] for name in typed if name != "find"}},
    )


def _title(view: JobView) -> str:
    return view.name or str(view.spec.get("model", {}).get("architecture", "job"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is to be known first."""

    job: JobView
    title: str
    progress: ProgressView
    ends_at: datetime | None
    """About when it will have trained all epochs; None where that is unknown."""
    study: str
    """The number of the study that it is a run of, or nothing."""


def get_head(visit: Visit, number: int) -> Head:
    """State, how far it is, when it ends, and what is unusual."""
    job, progress = visit.get_job(number), visit.get_progress(number)
    return Head(
        job=job,
        title=_title(job),
        progress=progress,
        ends_at=_guess_end(job, progress),
        study=_find_study(job),
    )


def _find_study(job: JobView) -> str:
    """By the project and the tag that studies give to their jobs."""
    numbers = [tag.removeprefix(OF_STUDY) for tag in job.tags if tag.startswith(OF_STUDY)]
    of_study = job.project.startswith("study/")
    return next((number for number in numbers if of_study and is_number(number)), "")


def _guess_end(job: JobView, view: ProgressView) -> datetime | None:
    """From what is left and how fast it trains, to the minute."""
    said, batch = view.progress, job.spec.get("training", {}).get("batch_size")
    if view.state != "running" or said is None or not said.images_per_second or not isinstance(batch, int):
        return None
    left = max(0, said.epochs * said.steps_per_epoch - said.step) * batch / said.images_per_second
    if left > timedelta(days=3650).total_seconds():
        return None
    end = datetime.now(timezone.utc) + timedelta(seconds=left)
    return end.replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What this person may do to the job now."""

    job: JobView
    mine: bool
    names: Sequence[str]


def get_acts(visit: Visit, number: int) -> Acts:
    """The acts that make sense in the job's state; the use cases say who may."""
    job = visit.get_job(number)
    state = JobState(job.state)
    names = {
        JobState.QUEUED: ["hold", "cancel"],
        JobState.RUNNING: ["pause", "cancel"],
        JobState.PAUSED: ["resume", "cancel"],
    }.get(state, ["retry"] if state in RETRYABLE else [])
    may = visit.may_change(job.owner)
    return Acts(job=job, mine=may, names=names if may else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """How the curves are drawn, and the addresses of the page with other axes."""

    x: str
    """Empty: epochs where they are known, else steps."""
    y: str
    choices: tuple[tuple[str, str, bool], ...]
    """Words, address, and whether it is chosen."""
    switch: str
    """The address with the other vertical axis."""


def read_axes(typed: Mapping[str, str], link: Link) -> Axes:
    """What the address says of axes.

    Raises:
        SpecError: it is none.
    """
    x, logarithmic = typed.get("x", ""), read_logarithmic(typed.get("y", ""))
    read_axis(x)
    return Axes(
        x=x,
        y=LOGARITHMIC if logarithmic else "",
        choices=tuple((LABELS[name], link(x=name), name == (x or "epoch")) for name in AXES),
        switch=link(y="" if logarithmic else LOGARITHMIC),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of some metrics; `last` are their newest values."""

    title: str
    metrics: Sequence[str]
    labels: Sequence[str]
    last: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """The charts of a job; `version` changes with their points, and `marks` are where attempts went on."""

    job: int
    version: str
    charts: Sequence[Chart]
    marks: Sequence[tuple[int, str]]
    axes: Axes


CHARTS: Mapping[str, Mapping[str, str]] = {
    "Loss": {"loss": "train", "val_loss": "validation", "batch_loss": "batches"},
    "Accuracy": {"accuracy": "train", "val_accuracy": "validation", "batch_accuracy": "batches"},
    "Learning rate": {"lr": "learning rate"},
    "Images per second": {"images_per_second": "images/s"},
}


def get_charts(visit: Visit, number: int, axes: Axes) -> Charts:
    """Which charts there are points for."""
    job, progress = visit.get_job(number), visit.get_progress(number)
    charts = []
    for title, labels in CHARTS.items():
        there = [name for name in labels if name in job.metrics]
        if there:
            charts.append(
                Chart(
                    title=title,
                    metrics=there,
                    labels=[labels[name] for name in there],
                    last=[job.metrics[name] for name in there],
                )
            )
    step = progress.progress.step if progress.progress else 0
    version = f"{job.state}-{job.epochs}-{step}"
    return Charts(job=number, version=version, charts=charts, marks=list(list_restarts(job)), axes=axes)


def list_lanes(visit: Visit, number: int) -> tuple[JobView, Sequence[Lane]]:
    """The attempts on a line of time, and the history."""
    job = visit.get_job(number)
    return job, draw_lanes(job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The last lines of the log, or those of them in which the words are."""

    job: int
    find: str
    lines: Sequence[Sequence[Piece]]


def read_tail(visit: Visit, number: int, words: str) -> Tail:
    """What the newest attempt wrote last."""
    text = visit.client.read_log(number, tail=True).text.removesuffix("\n")
    # Not splitlines: a line that was drawn over by carriage returns is one.
    lines = [line for line in text.split("\n") if words.lower() in line.lower()] if text else []
    return Tail(job=number, find=words, lines=color_lines(lines[-MOST_LINES:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What the job is made of."""

    job: JobView
    spec: SpecView | None
    trouble: str
    """Why there is no spec to show."""
    changes: Sequence[DifferenceView]
    """Where it differs from the job that it was made like."""
    files: Sequence[str]
    digests_link: str
    """The address that shows their digests, too."""
    digested: Sequence[JobFile]
    """The same with their digests, where these are asked for."""
    finished: bool
    most_images: int = MOST_IMAGES
    """That its network looks at at once."""


def get_side(visit: Visit, number: int, link: Link, *, digests: bool) -> Side:
    """Its spec, what differs from its parent, files and environment."""
    job = visit.get_job(number)
    spec, trouble, changes = None, "", []
    try:
        spec = visit.client.explain_spec(number)
        changes = list(visit.client.diff(job.like, number).spec) if job.like else []
    except CnnctlError as error:  # a stored spec that cannot be read hides nothing else
        trouble = str(error)
    files = [BEST_FILE, PurePath(job.model).name] if job.model else []
    files += [NAMES["spec"], NAMES["log"]] if job.attempts else []
    return Side(
        job=job,
        spec=spec,
        trouble=trouble,
        changes=changes,
        files=files,
        digests_link=link(files=SHA256),
        digested=visit.client.list_files(number) if digests else [],
        finished=JobState(job.state) in FINISHED,
    )
