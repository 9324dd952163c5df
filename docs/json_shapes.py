"""The JSON documents that this service gives, and their page: each is one view, or a list of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from inspect import cleandoc
from itertools import groupby
from typing import Any, Literal, get_args, get_origin

from cnnctl.views.access import AuditView, MeView, NewTokenView, TokenView
from cnnctl.views.datasets import DatasetPage, DatasetView
from cnnctl.views.dry_run import DryRunView
from cnnctl.views.fleet import GpuHistoryView, GpuView, HostView
from cnnctl.views.jobs import (
    AuditEntryView,
    ComparisonView,
    JobDiffView,
    JobFile,
    JobResult,
    JobSummary,
    JobView,
    LabelsView,
    MetricsView,
    SubmissionView,
)
from cnnctl.views.networks import (
    CatalogEntry,
    DetectionView,
    EvaluationView,
    NetworkView,
    PredictionView,
    SpecField,
)
from cnnctl.views.ops import Finding, GarbageView
from cnnctl.views.people import HookView, UsageView, UserView, WebhookMessage
from cnnctl.views.shape import is_view, list_keys, split_optional
from cnnctl.views.studies import StudyEntry, StudyEvidence, StudyReport, StudyView

# What gives it → what it is; neighbours of one kind have one section.
DOCUMENTS: Mapping[str, Any] = {
    "cnnctl run --json": JobResult,
    "cnnctl submit --follow --json": JobResult,
    "cnnctl submit --json": SubmissionView,
    "cnnctl submit --dry-run --json": DryRunView,
    "cnnctl status --json": Sequence[JobSummary],
    "cnnctl status JOB --json": JobView,
    "cnnctl label JOB --json": LabelsView,
    "cnnctl diff JOB JOB --json": JobDiffView,
    "cnnctl compare JOB JOB… --json": ComparisonView,
    "cnnctl history JOB --json": Sequence[AuditEntryView],
    "cnnctl download JOB --list --json": Sequence[JobFile],
    "cnnctl metrics JOB --json": MetricsView,
    "cnnctl usage --json": Sequence[UsageView],
    "cnnctl users --json": Sequence[UserView],
    "cnnctl audit --json": Sequence[AuditView],
    "cnnctl whoami --json": MeView,
    "cnnctl token create --json": NewTokenView,
    "cnnctl token list --json": Sequence[TokenView],
    "cnnctl notify list --json": Sequence[HookView],
    "POST to a webhook": WebhookMessage,
    "cnnctl gpus --json": Sequence[GpuView],
    "cnnctl gpus history --json": Sequence[GpuHistoryView],
    "cnnctl hosts --json": Sequence[HostView],
    "cnnctl dataset add NAME PATH --json": DatasetView,
    "cnnctl dataset list --json": Sequence[DatasetView],
    "cnnctl dataset show NAME --json": DatasetPage,
    "cnnctl study list --json": Sequence[StudyEntry],
    "cnnctl study run STUDY --json": StudyView,
    "cnnctl study status --json": Sequence[StudyView],
    "cnnctl study report STUDY --json": StudyReport,
    "cnnctl study export STUDY": StudyEvidence,
    "cnnctl list SECTION --json": Sequence[CatalogEntry],
    "cnnctl list fields --json": Sequence[SpecField],
    "cnnctl describe NAME --json": NetworkView,
    "cnnctl predict JOB IMAGE… --json": Sequence[PredictionView],
    "cnnctl evaluate JOB --json": EvaluationView,
    "cnnctl detect JOB IMAGE --json": DetectionView,
    "cnnctl doctor --json": Sequence[Finding],
    "cnnctl gc --json": GarbageView,
}
HEAD = """\
With `--json` a command prints one JSON document on standard output and nothing else there. Moments are text
in ISO 8601, in UTC and to the millisecond. A metric value that is not a finite number is `null`. A newer
version may print more keys and more states. [json-schema.json](json-schema.json) says the same to programs,
and lists the states that this version knows."""
_WORDS: Mapping[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    datetime: "moment",
    Any: "any value",
}


def describe_documents() -> Iterator[str]:
    """The parts of the page: what holds for all, then a section each."""
    yield HEAD
    for kind, names in groupby(DOCUMENTS, key=lambda name: DOCUMENTS[name]):
        view, many = _split_list(kind)
        yield "## " + ", ".join(f"`{name}`" if "--json" in name else name for name in names)
        yield cleandoc(view.__doc__ or "") + ("\n\nA list of objects:" if many else "")
        yield "\n".join(["| key | type | meaning |", "| --- | --- | --- |", *_rows(view)])


def _rows(view: type, *, under: str = "") -> Iterator[str]:
    """A line for each key; those of a view in it come behind its own."""
    for key in list_keys(view):
        path = f"{under}{key.written}"
        yield f"| `{path}` | {_name(key.kind)} | {key.sentence} |"
        inner, many = _split_list(key.kind)
        if is_view(inner):
            yield from _rows(inner, under=f"{path}[]." if many else f"{path}.")


def _split_list(kind: Any) -> tuple[Any, bool]:
    """What a list is of, and whether it is one."""
    return (get_args(kind)[0], True) if get_origin(kind) is Sequence else (kind, False)


def _name(kind: Any, *, many: bool = False) -> str:
    """A type in words."""
    kind, optional = split_optional(kind)
    origin, parts = get_origin(kind), get_args(kind)
    end = "s" if many else ""
    if optional:
        return f"{_name(kind, many=many)} or null"
    if origin is Literal:
        return f"text{end}"
    if origin is Sequence:
        return f"list{end} of {_name(parts[0], many=True)}"
    if origin is tuple:
        return f"pair{end}"
    if origin is Mapping and parts[1] is not Any:
        return f"object{end} of {_name(parts[1], many=True)}"
    return f"{_WORDS.get(kind, 'object')}{end}"
