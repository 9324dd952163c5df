"""What follows from a choice is said, and a paper's initial weights get the paper's pixels."""

from typing import Any

import pytest

from models.catalog.lookup import ARCHITECTURES, Architecture
from models.catalog.network_builder import find_features
from service.domain.spec_notices import list_notices, suspect_cause
from service.domain.spec_request import resolve_spec

DIGITS = {"data.dataset": "digits"}


def notices(architecture: str, **fields: Any) -> str:
    given = {**DIGITS, **{name.replace("__", "."): value for name, value in fields.items()}}
    return "\n".join(list_notices(resolve_spec(architecture, given), given))


@pytest.mark.parametrize(
    "network", [network for network in ARCHITECTURES.values() if network.has_paper_init], ids=lambda n: n.name
)
def test_paper_initialization_brings_the_papers_pixels_unless_told_otherwise(network: Architecture) -> None:
    _, paper = find_features(network.name)
    assert paper is not None
    assert resolve_spec(network.name, {"model.init": "paper"}).data.normalize == paper.normalize
    assert f"data.normalize={paper.normalize}" in notices(network.name, model__init="paper")
    otherwise = {"model.init": "paper", "data.normalize": "standardize"}
    assert resolve_spec(network.name, otherwise).data.normalize == "standardize"
    assert notices(network.name, model__init="paper", data__normalize="standardize") == ""


def test_two_penalties_at_once_are_said() -> None:
    assert "Two penalties act" in notices("alexnet", optimizer__name="alexnet", model__l2=1e-4)
    assert notices("alexnet", optimizer__name="alexnet") == ""
    assert notices("lenet5", model__l2=1e-4) == ""


def test_a_dataset_that_was_not_chosen_is_named() -> None:
    assert "lenet5 takes digits" in "".join(list_notices(resolve_spec("lenet5", {}), {}))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model.init": "paper", "data.normalize": "standardize"}, "data.normalize=mean"),
        ({"model.activation": "sigmoid"}, "--activation relu"),
        ({}, ""),
    ],
)
def test_what_may_keep_a_network_from_learning_is_suspected(fields: dict[str, Any], words: str) -> None:
    found = suspect_cause(resolve_spec("convnet4", fields))
    assert (words in found) if words else found == ""


def test_pixels_are_not_suspected_where_they_are_those_of_the_paper() -> None:
    found = suspect_cause(resolve_spec("lenet5", {"model.init": "paper", "model.activation": "sigmoid"}))
    assert "sigmoid flattens" in found
