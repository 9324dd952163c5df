"""Turns what a person typed into a spec: defaults, `--set` paths, errors with the nearest name."""

import difflib
import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from models.catalog import lookup
from models.catalog.dataset_path import VERSION, make_absolute
from models.catalog.lookup import CatalogError
from models.catalog.network_builder import find_features
from models.catalog.network_config import network_defaults, resolve_pool
from service.domain.bounds import OPTION, SPEC, TEXT
from service.domain.spec import Spec
from service.domain.spec_sections import explain, find_section, list_fields
from service.domain.unread_fields import check_all_are_read
from service.errors import SpecError

DEFAULT_LR = {"sgd": 0.01, "alexnet": 0.01, "adam": 0.001, "adamw": 0.001}
ALEXNET_DECAY = 0.0005
# AlexNet cuts 227 pixels out of 256.
RESIZE_PER_SIDE = 256 / 227


def resolve_spec(
    architecture: str, assignments: Mapping[str, object], *, kept: Mapping[str, object] | None = None
) -> Spec:
    """Make a full spec from an architecture's name and values by dotted path.

    Values that are `kept` of another spec take the place of defaults; nothing has to read them.

    Raises:
        SpecError: an unknown name or path, a value of the wrong type or out of range, a field that nothing
            would read, or a combination that cannot be trained. Nothing is guessed: the message names the
            nearest valid choice.
    """
    try:
        network = lookup.get_architecture(architecture)
    except CatalogError as error:
        raise SpecError(str(error)) from None
    given: dict[str, object] = {}
    for path, value in assignments.items():
        known = _resolve_path(path, network)
        _check_value(known, value)
        given[known] = value
    tree = {"model.architecture": architecture, **(kept or {}), **given}
    _default_model(tree, network)
    _default_data(tree, network)
    _default_optimizer(tree)
    spec = _validate(_nest(tree, _option_defaults(network)))
    check_all_are_read(spec, given)
    return spec


def _check_value(path: str, value: object) -> None:
    """Refuse a value that is too large before anything computes with it, and text that no terminal shows."""
    if not isinstance(value, (bool, int, float, str, NoneType)):
        raise SpecError(f"{path} takes one value. Received: {reprlib.repr(value)}")
    SPEC.get(path, TEXT if isinstance(value, str) else OPTION).check(path, value)


def _default_model(tree: dict[str, object], network: lookup.Architecture) -> None:
    dropout = tree.get("model.dropout")
    for name, value in network_defaults(network, dropout=None if dropout is None else str(dropout)).items():
        tree.setdefault(f"model.{name}", value)
    tree["model.pool"] = resolve_pool(str(tree["model.pool"]), network)


def _default_data(tree: dict[str, object], network: lookup.Architecture) -> None:
    dataset = tree["data.dataset"] = make_absolute(str(tree.get("data.dataset", network.default_dataset)))
    _check_value("data.dataset", dataset)  # the whole path, which is stored
    tree.setdefault("data.image_size", network.image_size)
    if _are_photographs(dataset):
        tree.setdefault("data.augment", network.augment)
    side, augment = tree["data.image_size"], str(tree.get("data.augment", "none"))
    if tree.get("model.init") == "paper":
        _, paper = find_features(network.name)
        if paper is not None:
            tree.setdefault("data.normalize", paper.normalize)
    cuts_views = "crop:0" in augment.split(",") and isinstance(side, int)
    tree.setdefault("data.resize", round(side * RESIZE_PER_SIDE) if cuts_views else side)  # type: ignore[operator]


def _are_photographs(dataset: str) -> bool:
    if own := VERSION.fullmatch(dataset):
        return not own[1]
    if dataset.startswith("folder:"):
        return True
    return dataset in lookup.DATASETS and lookup.DATASETS[dataset].photographs


def _default_optimizer(tree: dict[str, object]) -> None:
    name = str(tree.get("optimizer.name", "sgd"))
    tree.setdefault("optimizer.lr", DEFAULT_LR.get(name, 0.01))
    if name == "alexnet":
        tree.setdefault("optimizer.weight_decay", ALEXNET_DECAY)


def parse_assignment(text: str) -> tuple[str, object]:
    """Read one `--set path=value`; the value is JSON where it can be, else text.

    Raises:
        SpecError: there is no `=`, or no path before it.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise SpecError(f"--set takes path=value, as in --set optimizer.lr=0.01. Received: {text!r}")
    try:
        return path, json.loads(value)
    except RecursionError:
        raise SpecError(f"{path}: no field is as deeply nested as this. Received: {value[:40]}…") from None
    except ValueError:  # no JSON, or a number with more digits than Python reads
        return path, value


def spec_fields(section: type[Any] = Spec, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a spec by its dotted path, in order."""
    for name, field in list_fields(section).items():
        inner = find_section(field)
        if inner is None:
            yield prefix + name, field
        else:
            yield from spec_fields(inner, f"{prefix}{name}.")


def spec_paths() -> Iterator[tuple[str, str]]:
    """Every dotted path of a spec with its sentence, in order."""
    for path, field in spec_fields():
        yield path, field.description or ""


def _resolve_path(path: str, network: lookup.Architecture) -> str:
    options = [option.name for option in network.options]
    section, _, name = path.removeprefix("model.options.").rpartition(".")
    if name in options and (section == "model" or path.startswith("model.options.")):
        return f"model.options.{name}"
    known = _list_known_paths()
    if path in known:
        return path
    nearest = difflib.get_close_matches(
        path, [*known, *(f"model.{option}" for option in options)], n=1, cutoff=0.4
    )
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    raise SpecError(f"There is no spec field {path!r}.{hint} All fields: cnnctl list fields")


@cache
def _list_known_paths() -> Sequence[str]:
    return [path for path, _ in spec_paths() if path not in ("schema_version", "model.options")]


def _option_defaults(network: lookup.Architecture) -> dict[str, object]:
    return {f"model.options.{option.name}": option.default for option in network.options}


def _nest(values: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    root: dict[str, object] = {}
    for path, value in {**defaults, **values}.items():
        *sections, name = path.split(".")
        node = root
        for section in sections:
            inner = node.setdefault(section, {})
            assert isinstance(inner, dict)
            node = inner
        node[name] = value
    return root


def _validate(tree: dict[str, object]) -> Spec:
    try:
        return Spec.model_validate_json(json.dumps(tree))  # validated as a stored spec is
    except ValidationError as error:
        raise SpecError("\n".join(map(explain, error.errors()))) from None
