import math
from dataclasses import replace
from typing import Any

import pytest

from models.catalog.costs import check_network
from models.catalog.lookup import (
    ARCHITECTURES,
    DATASETS,
    DROPOUTS,
    INITIALIZERS,
    SECTIONS,
    Architecture,
    Argument,
    CatalogError,
    Choice,
    Option,
    get_architecture,
    get_dataset,
    parse_choice,
)
from models.catalog.network_config import NetworkConfig, network_defaults, resolve_pool

MLP: dict[str, Any] = {"architecture": "mlp", "pool": "none"}
VGG: dict[str, Any] = {"architecture": "vgg"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_entry_is_filed_under_its_name_with_a_summary_and_a_source(section: str) -> None:
    for name, entry in SECTIONS[section].items():
        assert entry.name == name
        assert entry.summary
        assert entry.source


def test_an_unknown_architecture_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CatalogError, match=r"'lenet'. Did you mean lenet5?"):
        get_architecture("lenet")


def test_an_unknown_dataset_is_refused_with_the_full_list() -> None:
    with pytest.raises(CatalogError, match=f"Known: {', '.join(DATASETS)}"):
        get_dataset("zzz")


def test_a_choice_without_a_number_gets_the_default() -> None:
    assert parse_choice("standard", kind="dropout", entries=DROPOUTS) == Choice(name="standard", argument=0.5)


def test_a_choice_is_read_back_from_its_text() -> None:
    choice = parse_choice("normal:1e-3", kind="initializer", entries=INITIALIZERS)
    assert parse_choice(choice.text, kind="initializer", entries=INITIALIZERS) == choice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("standart:0.5", "Did you mean standard?"),
        ("standard:", "must be a number. Received: ''"),
        ("standard:half", "must be a number. Received: 'half'"),
        ("standard:1", "at least 0 and below 1. Received: 1"),
        ("standard:-0.1", "at least 0 and below 1"),
        ("standard:nan", "must be a finite number"),
        ("standard:inf", "must be a finite number"),
        ("none:0.5", "takes no argument"),
    ],
)
def test_a_bad_choice_is_refused_and_says_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        parse_choice(text, kind="dropout", entries=DROPOUTS)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_argument_without_bounds_still_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(CatalogError, match=r"must be a finite number. Received"):
        Argument(name="shift", default=0.0).check(value, owner="test")


def test_an_argument_may_be_its_minimum_but_not_its_upper_bound() -> None:
    argument = Argument(name="rate", default=0.5, minimum=0.0, below=1.0)
    assert argument.check(0.0, owner="test") == 0.0
    with pytest.raises(CatalogError, match="below 1"):
        argument.check(1.0, owner="test")


@pytest.mark.parametrize("value", [True, 1.5, "2", None, 0])
def test_a_whole_number_option_refuses_other_types_and_what_is_below_its_minimum(value: object) -> None:
    with pytest.raises(CatalogError, match=r"model.hidden_layers of mlp must be"):
        Option(name="hidden_layers", summary="", default=2, minimum=1).check(value, architecture="mlp")


def test_a_fractional_option_takes_a_whole_number_but_no_nan() -> None:
    option = Option(name="width", summary="", default=1.0)
    assert option.check(2, architecture="test") == 2.0
    with pytest.raises(CatalogError, match="must be of type float"):
        option.check(math.nan, architecture="test")


def test_an_option_with_choices_names_them() -> None:
    with pytest.raises(CatalogError, match="must be one of max, average"):
        Option(name="pool", summary="", default="max", choices=("max", "average")).check(
            "min", architecture="a"
        )


def test_a_network_gets_its_default_options_beside_those_given() -> None:
    config = NetworkConfig(architecture="mlp", pool="none", options={"hidden_units": 4})
    assert config.parsed_options == {"hidden_units": 4, "hidden_layers": 2}
    assert config.options == {"hidden_units": 4}  # as it was given: a spec's digest is taken of it


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"architecture": "lenet6"}, "Did you mean lenet5?"),
        ({"image_size": 15}, "at least 16 pixels a side, or nothing is left at pool2. Received: 15"),
        (MLP | {"options": {"hidden_unit": 3}}, "option of mlp 'hidden_unit'. Did you mean hidden_units?"),
        ({"options": {"hidden_units": 3}}, "option of lenet5 'hidden_units'. Known: none"),
        (MLP | {"options": {"hidden_units": 0}}, "at least 1. Received: 0"),
        (MLP | {"options": {"hidden_layers": 10**9}}, "mlp must have at most 1,000 layers: ask for fewer"),
        ({"pool": "max:2"}, "must be KIND:SIZE/STRIDE"),
        ({"pool": "max:2/3"}, "would leave pixels out"),
        ({"pool": "median:2/2"}, "Unknown pool 'median'"),
        ({"pool": "none"}, "cannot be built without pooling"),
        ({"head": "gapp"}, "Did you mean gap?"),
        ({"dropout": "spatial:0.2"}, "model.dropout_place must be pool. Received: 'dense'"),
        ({"dropout_place": "here"}, "must be one of dense, pool, all"),
        ({"penalize": "biases"}, "must be one of kernels, all"),
        ({"l1": -1.0}, "l1 must be a finite number of at least 0. Received: -1"),
        ({"l2": math.nan}, "l2 must be a finite number of at least 0. Received: nan"),
        (MLP | {"norm": "lrn"}, "norm lrn needs feature maps; mlp has none. Use none or batch"),
        (MLP | {"head": "gap"}, "head gap needs feature maps; mlp has none. Use flatten"),
        (MLP | {"pool": "max:2/2"}, "pool max needs feature maps"),
        (MLP | {"init": "paper"}, "mlp has no paper"),
        (MLP | {"architecture": "softmax", "norm": "batch"}, "softmax has no hidden layer to normalize"),
        (VGG | {"options": {"stages": "64"}}, "must be CONVOLUTIONSxFILTERS"),
        (VGG | {"options": {"kernel": 7}}, "each stage must have a multiple of 3"),
        (VGG | {"options": {"kernel": 4}}, "must be one of 3, 5, 7"),
        ({"architecture": "alexnet", "options": {"width": 3.0}}, "must be one of 0.125"),
        (
            {"architecture": "alexnet", "options": {"form": "imagenet"}},
            "or nothing is left at pool5. Received: 32",
        ),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(overrides: dict[str, Any], message: str) -> None:
    fields = {"architecture": "lenet5", "image_size": 32, **overrides}
    image_size = fields.pop("image_size")
    with pytest.raises(CatalogError, match=message):
        check_network(NetworkConfig(**fields), image_size=image_size)


@pytest.mark.parametrize("network", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_spatial_dropout_is_refused_exactly_where_there_are_no_feature_maps(network: Architecture) -> None:
    fields: dict[str, Any] = {**network_defaults(network, dropout="spatial:0.3"), "dropout": "spatial:0.3"}
    if network.has_feature_maps:
        check_network(NetworkConfig(architecture=network.name, **fields), image_size=network.image_size)
        return
    message = f"spatial dropout needs feature maps; {network.name} has none. Use standard:0.3"
    with pytest.raises(CatalogError, match=message):
        NetworkConfig(architecture=network.name, **fields)


def test_a_pool_without_sizes_gets_those_of_the_network() -> None:
    assert resolve_pool("average", get_architecture("alexnet")) == "average:3/2"
    assert resolve_pool("max:4/4", get_architecture("alexnet")) == "max:4/4"


@pytest.mark.parametrize(
    ("declared", "dropout", "place"),
    [
        ({"dropout_place": "all"}, None, "all"),
        ({"dropout_place": "all"}, "standard:0.2", "all"),
        ({"dropout_place": "all"}, "spatial:0.2", "pool"),  # the only place where there are channels to drop
        ({"dropout": "spatial:0.2"}, None, "pool"),
        ({"dropout": "spatial:0.2"}, "standard:0.5", "dense"),
        ({}, None, "dense"),
    ],
)
def test_dropout_stands_where_the_network_declares_it_unless_channels_are_dropped(
    declared: dict[str, str], dropout: str | None, place: str
) -> None:
    network = replace(get_architecture("lenet5"), defaults={"pool": "max:2/2", **declared})
    assert network_defaults(network, dropout=dropout)["dropout_place"] == place
