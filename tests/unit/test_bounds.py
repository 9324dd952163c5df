"""Every number of a submission has bounds, and what lies beyond them is refused in words."""

from collections.abc import Mapping

import pytest

from service.bound import Bound
from service.domain.bounds import OPTION, SPEC, TEXT
from service.domain.spec_request import parse_assignment, resolve_spec, spec_paths
from service.errors import SpecError

MOST_TEXT = "x" * 100_000
ODD: Mapping[str, object] = {
    "long text": MOST_TEXT,
    "many digits": 10**400,
    "many digits below 0": -(10**400),
    "NUL": "\0",
    "half a character": "\ud800",
    "lists": [[]] * 1000,
    "object": {"a": 1},
}
TYPED = {
    "many digits": "9" * 5000,
    "deep lists": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "endless": "1e999999",
    "NUL": "\0",
    "no number": "NaN",
}
DEFAULTS = resolve_spec("lenet5", {}).model_dump()


def default_of(path: str) -> object:
    value: object = DEFAULTS
    for name in path.split("."):
        assert isinstance(value, dict)
        value = value[name]
    return value


def test_no_number_of_a_spec_is_without_bounds() -> None:
    free = {"schema_version", "model.options"}
    paths = {path for path, _ in spec_paths()} - free
    words = {path for path in paths if isinstance(default_of(path), (str, bool))}
    assert paths - words - set(SPEC) == set()
    assert set(SPEC) <= paths


def beyond(bound: Bound) -> list[float]:
    step = 1 if float(bound.most).is_integer() and bound.most < 2**53 else bound.most
    return [bound.most + step, bound.most * 10**300 if bound.most < 1e8 else 10**400, bound.least - 1]


@pytest.mark.parametrize("path", sorted(set(SPEC) - {"data.dataset", "data.keep"}))
def test_a_number_beyond_its_bounds_is_refused_with_bounds_and_reason(path: str) -> None:
    for value in beyond(SPEC[path]):
        with pytest.raises(SpecError) as refusal:
            resolve_spec("lenet5", {path: value})
        assert path in str(refusal.value)
        assert SPEC[path].why in str(refusal.value)
        assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("path", sorted(path for path, _ in spec_paths() if path != "schema_version"))
@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_whatever_a_field_is_given_a_refusal_says_so_in_few_words(path: str, value: object) -> None:
    with pytest.raises(SpecError) as refusal:
        resolve_spec("lenet5", {path: value})
    assert len(str(refusal.value)) < 1000


def test_options_of_networks_are_bounded_too() -> None:
    with pytest.raises(SpecError, match=OPTION.why):
        resolve_spec("mlp", {"model.hidden_units": 10**400})
    with pytest.raises(SpecError, match=TEXT.why):
        resolve_spec("vgg", {"model.stages": "2x32," * 100})
    with pytest.raises(SpecError, match="at most 1,000 layers"):
        resolve_spec("mlp", {"model.hidden_layers": 1_000_000})
    with pytest.raises(SpecError, match="at most 200 convolutions"):
        resolve_spec("vgg", {"model.stages": "999999x8"})


@pytest.mark.parametrize("text", TYPED.values(), ids=TYPED)
def test_whatever_is_typed_behind_set_is_refused_in_words(text: str) -> None:
    with pytest.raises(SpecError):
        resolve_spec("lenet5", dict([parse_assignment(f"training.epochs={text}")]))
