"""Writes the reference pages from the code: python -m docs.generate. A test fails when a page is stale."""

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo

from cnnctl.views.schema import schema
from docs.json_shapes import DOCUMENTS, describe_documents
from models.catalog import lookup
from models.catalog.verdicts import PREFIX, QUANTITIES, RULES
from service.cli.main import COMMANDS, main
from service.domain import labels
from service.domain.bounds import HISTORY_POINTS, MEMORY_MIB, OPTION, OPTIONS, SPEC, TEXT
from service.domain.metrics import METRICS
from service.domain.spec_request import resolve_spec, spec_paths
from service.domain.spec_sections import Section
from service.domain.studies.definition import Contrast, Definition, Scale, Tuning
from service.domain.studies.measures import CURVES, DERIVED
from service.settings import LONGEST_ADDRESS, LONGEST_HOST_BYTES, LONGEST_TEXT, Settings

STUDY_SECTIONS: Mapping[str, type[Section]] = {
    "The study": Definition,
    "`[[contrasts]]`": Contrast,
    "`[tune]`": Tuning,
    "`[scales.NAME]`": Scale,
}
FOLDER = Path(__file__).parent
TABLE = ["| variable | default | meaning |", "| --- | --- | --- |"]
WIDTH: Mapping[str, Any] = {"max_content_width": 100, "terminal_width": 100}
NOTE = "<!-- Written by `python -m docs.generate`: change the code, not this page. -->"


def pages() -> dict[str, str]:
    """Each generated page by its file name."""
    return {
        "cli.md": _page("Commands", *_commands()),
        "settings.md": _page("Settings", _settings()),
        "spec.md": _page("Spec fields", _spec(), _options(), _bounds()),
        "metrics.md": _page("Metrics", _metrics()),
        "study-file.md": _page("Study files", *_study_file()),
        "json.md": _page("JSON shapes", *describe_documents()),
        "json-schema.json": json.dumps(schema(DOCUMENTS), indent=1, ensure_ascii=False) + "\n",
    }


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, *parts]) + "\n"


def _commands() -> Iterator[str]:
    yield (
        "Exit status: 0 done, 1 failed, 2 usage or a submission that is refused, 3 not found, 4 conflict, "
        "5 not allowed."
    )
    context = click.Context(main, info_name="cnnctl", **WIDTH, **main.context_settings)
    yield _help(context)
    for name, (module, _) in COMMANDS.items():
        yield from _command(importlib.import_module(module).command, name, context)


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=name, **WIDTH)
    yield f"## {context.command_path}"
    yield _help(context)
    if isinstance(command, click.Group):
        for inner_name, inner in command.commands.items():
            yield from _command(inner, inner_name, context)


def _help(context: click.Context) -> str:
    return f"```\n{context.get_help().rstrip()}\n```"


def _settings() -> str:
    rows = [
        f"| `{f.metadata['variable']}` | {f.metadata['default'] or '—'} | {f.metadata['meaning']} |"
        for f in fields(Settings)
    ]
    ranges = [
        f"| `{f.metadata['variable']}` | {r.least:g} | {r.most:g} | {r.why} |"
        for f in fields(Settings)
        if (r := f.metadata["within"])
    ]
    head = (
        f"Environment variables, read once when a command starts. Each is text in UTF-8 of at most "
        f"{LONGEST_TEXT:,} characters, a host's name at most {LONGEST_HOST_BYTES} bytes without `/`, an "
        f"address at most {LONGEST_ADDRESS} characters.\n"
    )
    bounds = ["", "## Bounds", "", "| of | at least | at most | why |", "| --- | --- | --- | --- |", *ranges]
    return "\n".join([head, *TABLE, *rows, *bounds])


def _spec() -> str:
    spec = resolve_spec("lenet5", {}).model_dump()
    rows = []
    for path, sentence in spec_paths():
        value: object = spec
        for name in path.split("."):
            assert isinstance(value, dict)
            value = value[name]
        rows.append(f"| `{path}` | {_written(value)} | {sentence} |")
    head = "`--set PATH=VALUE` sets any of them. The defaults are those of `cnnctl submit lenet5`.\n"
    return "\n".join([head, "| path | default | meaning |", "| --- | --- | --- |", *rows])


def _options() -> str:
    rows = [
        f"| `model.{option.name}` | {network.name} | {option.default} | {option.summary} |"
        for network in lookup.ARCHITECTURES.values()
        for option in network.options
    ]
    head = [
        "## Options of single architectures",
        "",
        "| path | of | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])


def _bounds() -> str:
    of_others = {
        "any other text": TEXT,
        "an option of an architecture": OPTION,
        "memory that a job takes of a GPU, in MiB": MEMORY_MIB,
        "points of the history of GPUs": HISTORY_POINTS,
        "a job's name": labels.NAME,
        "a job's tags": labels.TAGS,
        "a job's note": labels.NOTE,
    }
    rows = [
        f"| {name if ' ' in name else f'`{name}`'} | {bound.least:,.10g} | {bound.most:,.10g} | {bound.why} |"
        for name, bound in {**SPEC, **OPTIONS, **of_others}.items()
    ]
    head = [
        "## Bounds",
        "",
        "Of a number the value, of a text or a list the length. The settings have theirs in settings.md.",
        "",
        "| of | at least | at most | why |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])


def _metrics() -> str:
    head = "`step` counts optimizer steps since the start of the job, for every metric.\n"
    rows = [f"| `{name}` | {meaning} |" for name, meaning in METRICS.items()]
    layers = [f"| `{PREFIX}LAYER/{name}` | {meaning} |" for name, meaning in QUANTITIES.items()]
    verdicts = [
        f"| {name} | {rule.threshold:g} | {rule.reason} | {rule.source} |" for name, rule in RULES.items()
    ]
    return "\n".join(
        [
            *(head, "| metric | meaning |", "| --- | --- |", *rows, ""),
            *("## With `--diagnostics`, of each layer and epoch", ""),
            *("| metric | meaning |", "| --- | --- |", *layers, ""),
            *(
                "## Verdicts",
                "",
                "| verdict | threshold | what is judged | source |",
                "| --- | --- | --- | --- |",
            ),
            *verdicts,
        ]
    )


def _study_file() -> Iterator[str]:
    yield (
        "A study is a TOML file; [studies](studies.md) says how one works, and shows one. Fields of the spec "
        "are given by their dotted paths, as `training.epochs = 5`."
    )
    for title, section in STUDY_SECTIONS.items():
        rows = [
            f"| `{name}` | {'required' if field.is_required() else _default(field)} | {field.description} |"
            for name, field in section.model_fields.items()
        ]
        yield "\n".join([f"## {title}", "", "| field | default | meaning |", "| --- | --- | --- |", *rows])
    derived = [f"| `{name}` | {one.summary} |" for name, one in DERIVED.items()]
    derived.append(
        "| `epochs_to:METRIC:VALUE` | epochs until one of "
        f"{', '.join(f'`{curve}`' for curve in CURVES)} reaches a value; a run that never does is censored |"
    )
    yield "\n".join(
        [
            *("## Metrics", ""),
            "Every metric of [metrics](metrics.md), `layer/LAYER/QUANTITY` of jobs with diagnostics, and:",
            *("", "| metric | meaning |", "| --- | --- |", *derived),
        ]
    )


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "—" if value in (None, "", {}) or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _written(value: object) -> str:
    return "—" if value in (None, {}, "") else f"`{value}`"


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
