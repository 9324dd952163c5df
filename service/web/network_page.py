"""What the page of a network shows: its drawing, the fields that change it, and the commands that make it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnctl.client import Client
from cnnctl.views.networks import NetworkView
from cnnctl.views.requests import NetworkRequest
from models.catalog.lookup import get_architecture
from service.domain.spec import Spec
from service.domain.spec_request import parse_assignment, resolve_spec
from service.errors import SpecError
from service.web.field_choices import list_choices
from service.web.network_svg import draw_network

WIDTH = 1000  # of the drawing, in pixels
CHANNELS = 3
CLASSES, SIDE, BATCH = "classes", "data.image_size", "training.batch_size"
BESIDE = (SIDE, BATCH)  # fields of the spec outside `model` that `describe` has options for


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkField:
    """A field that changes a network; `choices` are empty where the catalog names none."""

    name: str
    summary: str
    value: str
    default: str
    choices: tuple[str, ...]
    is_given: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPage:
    """A network, or in `error` why there is none: then `network` is None and the commands are empty.

    `fields` are empty only where no network has this name.
    """

    architecture: str
    network: NetworkView | None = None
    drawing: str = ""
    fields: Sequence[NetworkField] = ()
    describe_command: str = ""
    submit_command: str = ""
    error: str = ""


def describe_page(client: Client, architecture: str, query: Mapping[str, str]) -> NetworkPage:
    """The page of a network; `query` has fields of the spec by dotted path, and `classes`.

    An empty value is as none: a form sends each of its fields.
    """
    typed = {path: value for path, value in query.items() if value}
    try:
        given = dict(parse_assignment(f"{path}={value}") for path, value in typed.items())
        spec = resolve_spec(architecture, {path: value for path, value in given.items() if path != CLASSES})
        network = client.describe_network(architecture, _make_request(spec, given))
    except SpecError as error:
        fields = _explain_fields(client, architecture, typed)
        return NetworkPage(architecture=architecture, fields=fields, error=str(error))
    return NetworkPage(
        architecture=architecture,
        network=network,
        drawing=draw_network(network, width=WIDTH),
        fields=_list_fields(client, architecture, spec, typed),
        describe_command=shlex.join(["cnnctl", "describe", architecture, *_describe_words(spec, typed)]),
        submit_command=shlex.join(["cnnctl", "submit", architecture, *_set(typed, without=(CLASSES,))]),
    )


def _make_request(spec: Spec, given: Mapping[str, object]) -> NetworkRequest:
    classes = given.get(CLASSES, NetworkRequest().classes)
    if type(classes) is not int:
        raise SpecError(f"--classes takes a whole number. Received: {classes!r}")
    side = spec.data.image_size
    return NetworkRequest(
        fields={path: value for path, value in given.items() if path not in (CLASSES, *BESIDE)},
        input_shape=(side, side, CHANNELS),
        classes=classes,
        batch_size=spec.training.batch_size,
    )


def _describe_words(spec: Spec, typed: Mapping[str, str]) -> Sequence[str]:
    side = spec.data.image_size
    return [
        *_set(typed, without=(CLASSES, *BESIDE)),
        *(["--input", f"{side}x{side}x{CHANNELS}"] if SIDE in typed else []),
        *(["--classes", typed[CLASSES]] if CLASSES in typed else []),
        *(["--batch-size", typed[BATCH]] if BATCH in typed else []),
    ]


def _set(typed: Mapping[str, str], *, without: Sequence[str]) -> Sequence[str]:
    fields = [f"{path}={value}" for path, value in typed.items() if path not in without]
    return [word for field in fields for word in ("--set", field)]


def _explain_fields(client: Client, architecture: str, typed: Mapping[str, str]) -> Sequence[NetworkField]:
    """The fields as they were typed, of a network that cannot be made so."""
    try:
        return _list_fields(client, architecture, resolve_spec(architecture, {}), typed)
    except SpecError:
        return ()


def _list_fields(
    client: Client, architecture: str, spec: Spec, typed: Mapping[str, str]
) -> Sequence[NetworkField]:
    values, defaults = _flatten(spec), _flatten(resolve_spec(architecture, {}))
    own = {f"model.{option.name}" for option in get_architecture(architecture).options}
    fields = [
        NetworkField(
            name=field.name,
            summary=field.summary,
            value=typed.get(field.name, values[field.name]),
            default=defaults[field.name],
            choices=tuple(list_choices(client, architecture, field.name)),
            is_given=field.name in typed,
        )
        for field in client.list_spec_fields()
        if field.name in values and (field.name not in own or field.summary.endswith(f"(of {architecture})"))
    ]
    classes = str(NetworkRequest().classes)
    more = NetworkField(
        name=CLASSES,
        summary="number of classes",
        value=typed.get(CLASSES, classes),
        default=classes,
        choices=(),
        is_given=CLASSES in typed,
    )
    return [*fields, more]


def _flatten(spec: Spec) -> Mapping[str, str]:
    """The fields of a spec that change a network, as people write them, by their paths."""
    model = spec.model_dump()["model"]
    options = model.pop("options")
    del model["architecture"]
    values = {f"model.{name}": value for name, value in {**model, **options}.items()}
    values |= {SIDE: spec.data.image_size, BATCH: spec.training.batch_size}
    return {path: f"{value:g}" if isinstance(value, float) else str(value) for path, value in values.items()}
