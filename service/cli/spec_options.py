"""The options that `submit` and `run` share: short names for spec fields, and `--set` for all of them."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from cnnctl.fields import FIELDS
from service.cli.param_types import Minutes
from service.domain.spec_request import parse_assignment, spec_fields

Command = TypeVar("Command", bound=Callable[..., Any])


def spec_options(command: Command) -> Command:
    """Add the network's name and the spec options to a command: `architecture`, `assignments`, one each."""
    known = dict(spec_fields())
    for name, path in reversed(list(FIELDS.items())):
        field = known[path]
        text = f"{_as_sentence(field.description or '')}  [{path}]"
        command = click.option(
            f"--{name}", path.replace(".", "__"), help=text, **_click_type(path, field.annotation)
        )(command)
    command = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="PATH=VALUE",
        help="Any spec field, as in --set schedule.step_epochs=5. See: cnnctl list fields",
    )(command)
    return click.argument("architecture", required=False)(command)


def _as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _click_type(path: str, kind: Any) -> dict[str, Any]:
    """What Click must know of a field: its type, or the words that it takes."""
    if path == "resources.time_limit_minutes":
        return {"type": Minutes(), "metavar": "90|2h"}
    if kind is bool:
        return {"is_flag": True, "default": None}
    if get_origin(kind) is Literal:
        return {"type": str, "metavar": "|".join(get_args(kind))}
    return {"type": kind}


def collect_fields(values: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, object]:
    """Gather the fields that were given; `--set` wins over a short option."""
    given = {name.replace("__", "."): value for name, value in values.items() if value is not None}
    return {**given, **dict(map(parse_assignment, assignments))}
