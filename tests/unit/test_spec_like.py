"""A spec like another keeps what that one chose; all else follows what was given."""

import json
from collections.abc import Mapping

import pytest

from models.catalog.lookup import ARCHITECTURES
from service.domain.spec import Spec, read_spec
from service.domain.spec_like import list_choices, resolve_like
from service.domain.spec_request import resolve_spec
from service.domain.stored_spec import list_values
from service.errors import SpecError

CHOSEN: list[tuple[str, Mapping[str, object]]] = [
    ("lenet5", {"optimizer.name": "adam", "optimizer.lr": 0.01, "training.epochs": 3}),
    ("lenet5", {"loss.name": "focal", "loss.gamma": 3.0, "model.dropout": "spatial:0.2", "model.l2": 1e-4}),
    ("alexnet", {"model.init": "paper", "data.image_size": 99, "optimizer.name": "alexnet"}),
    ("mlp", {"model.hidden_units": 7, "data.dataset": "synthetic", "checkpoint.every_minutes": None}),
    ("vgg", {"resources.gpus": 2, "training.early_stopping.patience_epochs": 4}),
]


def like(base: Spec, architecture: str | None = None, **given: object) -> Spec:
    """`like(base, optimizer__name="adam")`."""
    fields = {name.replace("__", "."): value for name, value in given.items()}
    return resolve_like(base, architecture, fields, choices=list_choices(base))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_nothing_given_makes_the_same_spec_of_each_network(name: str) -> None:
    base = resolve_spec(name, {})
    assert like(base) == base
    assert set(list_choices(base)) == {"data.dataset"}


@pytest.mark.parametrize(("name", "given"), CHOSEN)
def test_nothing_given_makes_the_same_spec_of_chosen_fields(name: str, given: Mapping[str, object]) -> None:
    base = resolve_spec(name, given)
    assert like(base).to_json() == base.to_json()
    paths = {path if path != "model.hidden_units" else "model.options.hidden_units" for path in given}
    assert set(list_choices(base)) == {*paths, "data.dataset"}


def test_what_was_given_is_all_that_differs() -> None:
    base = resolve_spec("lenet5", {"training.epochs": 3, "model.l2": 1e-4})
    made = like(base, training__seed=7)
    assert differing(base, made) == {"training.seed"}


def test_a_default_follows_what_was_given_and_a_choice_stays() -> None:
    left = resolve_spec("lenet5", {})
    assert like(left, optimizer__name="adam").optimizer.lr == 0.001
    chosen = resolve_spec("lenet5", {"optimizer.lr": 0.05})
    assert like(chosen, optimizer__name="adam").optimizer.lr == 0.05
    assert like(left, data__image_size=40).data.resize == 40
    assert like(chosen, optimizer__name="adam", optimizer__lr=0.2).optimizer.lr == 0.2


def test_a_choice_that_nothing_reads_any_more_is_dropped() -> None:
    base = resolve_spec("lenet5", {"loss.name": "focal", "loss.gamma": 3.0})
    assert like(base, loss__name="cross_entropy") == resolve_spec("lenet5", {})


def test_a_given_field_that_nothing_reads_is_refused_as_ever() -> None:
    base = resolve_spec("lenet5", {"loss.name": "focal"})
    with pytest.raises(SpecError, match=r"loss\.gamma would have no effect"):
        like(base, loss__name="cross_entropy", loss__gamma=3.0)


def test_another_architecture_keeps_dataset_and_choices_and_takes_its_own_defaults() -> None:
    base = resolve_spec("mlp", {"model.hidden_units": 7, "training.epochs": 3, "data.dataset": "synthetic"})
    made = like(base, "lenet5")
    wanted = {"training.epochs": 3, "data.dataset": "synthetic"}
    assert made == resolve_spec("lenet5", wanted)


def test_a_choice_that_another_architecture_cannot_have_is_named() -> None:
    base = resolve_spec("lenet5", {"model.norm": "lrn"})
    with pytest.raises(SpecError, match="norm lrn needs feature maps"):
        like(base, "mlp")
    assert like(base, "mlp", model__norm="none").model.norm == "none"


def test_a_spec_stored_with_a_value_that_is_no_default_any_more_keeps_it() -> None:
    stored = json.loads(resolve_spec("lenet5", {}).to_json())
    stored["optimizer"]["momentum"] = 0.8
    base = read_spec(json.dumps(stored))
    assert like(base, training__seed=1).optimizer.momentum == 0.8


def differing(first: Spec, second: Spec) -> set[str]:
    left, right = (dict(list_values(json.loads(spec.to_json()))) for spec in (first, second))
    return {path for path in left.keys() | right.keys() if left.get(path) != right.get(path)}
