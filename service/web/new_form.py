"""The fields of the form of a new job, made from the shape of the spec and of a submission."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from cnnctl.client import Client
from cnnctl.fields import FIELDS
from cnnctl.views.requests import SubmissionRequest
from cnnctl.views.shape import list_keys
from cnnctl.views.states import Priority
from service.domain.spec import Spec
from service.web.field_choices import list_choices
from service.web.new_request import KINDS

DATASET = "data.dataset"
NO_FIELDS = ("schema_version", "model.architecture")
LABELS = ("name", "tags", "note")
RUNNING = ("priority", "project", "after", "not_before", "host", "hosts", "gpu_model", "exclusive", "hold")
SWITCHES = ("exclusive", "hold")
HINTS = {
    "after": "41 42",
    "not_before": "8h, or 2026-11-01T22:00 in UTC",
    "tags": "baseline seed-3",
    "gpu_model": "any",
    "host": "any",
    "hosts": "1",
    "priority": "normal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of the form; `default` is what it comes to where nothing is typed."""

    name: str
    label: str
    summary: str
    typed: str
    default: str
    error: str
    choices: Sequence[str] = ()
    """All that it takes; empty: anything."""
    suggestions: Sequence[str] = ()
    kind: Literal["text", "lines", "switch"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Fields that stand together; it is open where one of them was typed or is wrong."""

    title: str
    fields: Sequence[Field]

    @property
    def is_open(self) -> bool:
        return any(field.typed or field.error for field in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What stands in the fields, and what is said about them, by their names."""

    typed: Mapping[str, str]
    defaults: Mapping[str, str]
    errors: Mapping[str, str]

    def make(self, name: str, label: str, summary: str, **more: Any) -> Field:
        return Field(
            name=name,
            label=label,
            summary=summary,
            typed=self.typed.get(name, ""),
            default=self.defaults.get(name, HINTS.get(name, "")),
            error=self.errors.get(name, ""),
            **more,
        )


def list_paths(client: Client, architecture: str) -> Mapping[str, str]:
    """The fields of a spec with their sentences: those of all networks, and the own ones of this one."""
    return {
        field.name: field.summary
        for field in client.list_spec_fields()
        if field.name not in NO_FIELDS
        and (field.name in KINDS or field.summary.endswith(f"(of {architecture})"))
    }


def list_most_used(client: Client, architecture: str, filled: Filled) -> Sequence[Field]:
    """The fields that have a short name, in the order of the command line."""
    sentences = list_paths(client, architecture)
    return [
        _make_field(client, architecture, filled, path, sentences[path], name.replace("-", " "))
        for name, path in FIELDS.items()
    ]


def list_sections(client: Client, architecture: str, filled: Filled) -> Iterator[Group]:
    """All other fields of the spec, by its sections."""
    sentences = list_paths(client, architecture)
    for section, field in Spec.model_fields.items():
        rest = [path for path in sentences if path.startswith(f"{section}.") and path not in FIELDS.values()]
        if rest:
            fields = [
                _make_field(client, architecture, filled, path, sentences[path], path.partition(".")[2])
                for path in rest
            ]
            yield Group(title=f"{section}: {field.description}", fields=fields)


def _make_field(
    client: Client, architecture: str, filled: Filled, path: str, sentence: str, label: str
) -> Field:
    kind = KINDS.get(path)
    choices: Sequence[str] = ()
    if kind is bool:
        choices = ("true", "false")
    elif get_origin(kind) is Literal:
        choices = get_args(kind)
    suggestions = () if choices else _list_suggestions(client, architecture, path)
    return filled.make(path, label, sentence, choices=choices, suggestions=suggestions)


def _list_suggestions(client: Client, architecture: str, path: str) -> Sequence[str]:
    if path == DATASET:
        return [entry.name for entry in client.list_catalog("datasets")]
    return list_choices(client, architecture, path)


def list_own(filled: Filled, names: Sequence[str]) -> Sequence[Field]:
    """Fields of a submission beside its spec."""
    sentences = {key.name: key.sentence for key in list_keys(SubmissionRequest)}
    kinds: Mapping[str, Any] = {"note": "lines", **dict.fromkeys(SWITCHES, "switch")}
    choices = {"priority": get_args(Priority)}
    return [
        filled.make(
            name,
            name.replace("_", " "),
            sentences[name].replace("`", ""),
            kind=kinds.get(name, "text"),
            choices=choices.get(name, ()),
        )
        for name in names
    ]
