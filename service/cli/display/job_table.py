"""Draws the table of jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from rich.console import Group
from rich.text import Text

from cnnctl.views.jobs import JobSummary, JobView
from service.cli.display.table import make_table
from service.cli.session import format_seconds

MOST_HOSTS = 2  # named in a row: more would break the line in a terminal of 80 columns
STATE_STYLES: Mapping[str, str] = {
    "queued": "yellow",
    "running": "cyan",
    "paused": "magenta",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
}


def job_table(views: Sequence[JobSummary], notices: Sequence[str]) -> Group:
    """The jobs as a table; while some wait or run, the notices under it say what keeps jobs waiting."""
    if not views:
        return Group(Text("No jobs yet. Try: cnnctl submit lenet5"), *map(Text, notices))
    names = ("JOB", "STATE", "NETWORK", "DATASET", "GPUS", "EPOCH", "ACC", "OWNER", "AGE")
    named = any(view.name or view.tags for view in views)
    folded = ["NAME", "WHY"] if named else ["WHY"]
    table = make_table(*names, *folded, right=["JOB", "GPUS", "ACC"], whole=names, folded=folded)
    for view in views:
        *cells, why = _cells(view)
        table.add_row(*cells, *([_label(view)] if named else []), why)
    waiting = any(view.state in ("queued", "running") for view in views)
    return Group(table, *(map(Text, notices) if waiting else ()))


def _cells(view: JobSummary) -> list[Text]:
    accuracy = "" if view.accuracy is None else f"{view.accuracy:.3f}"
    return [
        Text(str(view.job)),
        Text(view.state, style=STATE_STYLES.get(view.state, "")),
        Text(view.architecture),
        Text(view.dataset),
        Text(str(view.gpus)),
        Text(f"{view.epochs}/{view.epochs_wanted}"),
        Text(accuracy),
        Text(view.owner),
        Text(age_of(view.submitted_at)),
        Text(tell_why(view) or _where(view)),
    ]


def _label(view: JobSummary | JobView) -> Text:
    """What a job is called, and its tags."""
    return Text(" ".join([view.name, *(f"#{tag}" for tag in view.tags)]).strip())


def _where(view: JobSummary) -> str:
    """The hosts that a running job is on: the first ones, and how many more."""
    names = view.on_hosts
    more = f" +{len(names) - MOST_HOSTS}" if len(names) > MOST_HOSTS else ""
    return f"on {', '.join(names[:MOST_HOSTS])}{more}" if names else ""


def tell_why(view: JobSummary | JobView) -> str:
    """The reason for a job's state, and in about how long it starts if the scheduler has an estimate."""
    moment = view.estimated_start_at
    left = -_seconds_since(moment) if moment else 0.0
    return f"{view.reason}; about {_count_seconds(left)}" if left >= 1 else view.reason


def age_of(moment: datetime) -> str:
    """How long ago a moment was: 12 s, 3 min, 5 h, 2 d."""
    return _count_seconds(_seconds_since(moment))


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(timezone.utc) - moment).total_seconds()


def _count_seconds(seconds: float) -> str:
    return format_seconds(round(max(seconds, 0)))
