"""What was typed into the form of a new job, as a submission and as the command line that does the same."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, get_args

from cnnctl.fields import FIELDS
from cnnctl.views.requests import SubmissionRequest
from cnnctl.views.states import Priority
from service.domain.moments import parse_moment
from service.domain.spec_request import parse_assignment, spec_fields
from service.errors import SpecError
from service.web.address import is_number, write_moment

LONGEST = 20_000
KINDS = {path: field.annotation for path, field in spec_fields()}
TEXTS = ("project", "gpu_model", "host")  # None where nothing is typed


class FieldError(SpecError):
    """What was typed into a field is not what it takes."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def to_request(typed: Mapping[str, str]) -> SubmissionRequest:
    """What is asked for; an empty field asks for nothing.

    Raises:
        FieldError: a number, a moment or a word is none.
    """
    texts: dict[str, Any] = {name: typed.get(name) or None for name in TEXTS}
    return SubmissionRequest(
        **texts,
        architecture=typed.get("architecture") or None,
        fields={path: parse_value(path, text) for path, text in typed.items() if "." in path and text},
        like=_find_number(typed, "like"),
        name=typed.get("name", ""),
        tags=list_words(typed, "tags"),
        note=typed.get("note", ""),
        priority=_find_priority(typed),
        after=[_read_number("after", word) for word in list_words(typed, "after")],
        not_before=_find_moment(typed),
        exclusive=True if typed.get("exclusive") else None,
        hosts=_find_number(typed, "hosts"),
        hold=bool(typed.get("hold")),
    )


def parse_value(path: str, text: str) -> object:
    """A field of the spec: text where it takes text, else as `--set` reads it."""
    return text if KINDS.get(path) is str else parse_assignment(f"{path}={text}")[1]


def list_words(typed: Mapping[str, str], name: str) -> Sequence[str]:
    """Words between commas or spaces."""
    return typed.get(name, "").replace(",", " ").split()


def _find_number(typed: Mapping[str, str], name: str) -> int | None:
    return _read_number(name, typed[name]) if typed.get(name) else None


def _read_number(name: str, text: str) -> int:
    if not is_number(text, digits=9):
        raise FieldError(name, f"{name} takes whole numbers. Received: {text[:40]!r}")
    return int(text)


def _find_priority(typed: Mapping[str, str]) -> Priority | None:
    text = typed.get("priority", "")
    for priority in get_args(Priority):
        if text == priority:
            return priority  # type: ignore[no-any-return]
    if text:
        raise FieldError(
            "priority", f"A priority is {', '.join(get_args(Priority))}. Received: {text[:40]!r}"
        )
    return None


def _find_moment(typed: Mapping[str, str]) -> datetime | None:
    text = typed.get("not_before", "")[:60]
    try:
        return parse_moment(text, ahead=True, zone=timezone.utc) if text else None
    except ValueError as error:
        raise FieldError("not_before", f"not before: {error}") from None


def to_command(typed: Mapping[str, str]) -> str:
    """The command line that queues the same job."""
    words = ["cnnctl", "submit", *([typed["architecture"]] if typed.get("architecture") else [])]
    return shlex.join([*words, *_list_options(typed)])


def _list_options(typed: Mapping[str, str]) -> Iterator[str]:
    short = {path: name for name, path in FIELDS.items()}
    for name, text in typed.items():
        if not text or name == "architecture":
            continue
        if name in short and KINDS[name] is bool and text == "true":
            yield f"--{short[name]}"
        elif name in short and KINDS[name] is not bool and text != "null":
            yield from _write(short[name], text)
        elif "." in name:
            yield from _write("set", f"{name}={text}")
        elif name in ("tags", "after"):
            for word in list_words(typed, name):
                yield from _write(name.removesuffix("s"), word)
        elif name in ("exclusive", "hold"):
            yield f"--{name}"
        else:
            yield from _write(
                name.replace("_", "-"), write_moment(text, ahead=True) if name == "not_before" else text
            )


def _write(option: str, text: str) -> Sequence[str]:
    return [f"--{option}={text}"] if text.startswith("-") else [f"--{option}", text]
