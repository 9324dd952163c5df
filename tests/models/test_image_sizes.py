"""An image is refused exactly where nothing would be left of it: held against the shapes that Keras gives."""

import sys
from types import ModuleType
from typing import Any, cast

import keras
import pytest

from models.catalog.costs import check_network
from models.catalog.lookup import ARCHITECTURES, Architecture, CatalogError, OptionValue
from models.catalog.network_builder import find_features
from models.catalog.network_config import NetworkConfig, network_defaults
from models.keras_builder import KerasBuilder
from tests.models.declared_network import is_taken

WITH_MAPS = [network for network in ARCHITECTURES.values() if network.has_feature_maps]
WITHOUT_MAPS = [network for network in ARCHITECTURES.values() if not network.has_feature_maps]
POOLS = ["max:2/2", "max:3/2", "average:3/3", "max:4/2"]
LARGEST = 400


def list_forms() -> list[Any]:
    """Every network with feature maps by default, and with each choice of its options but widths."""
    forms: list[tuple[Architecture, dict[str, OptionValue]]] = [(network, {}) for network in WITH_MAPS]
    forms += [
        (network, {option.name: word})
        for network in WITH_MAPS
        for option in network.options
        for word in option.choices
        if not isinstance(word, float) and word != option.default
        if is_taken(choose(network, options={option.name: word}), LARGEST)  # not every one goes by itself
    ]
    return [pytest.param(network, options, id=f"{network.name}-{options}") for network, options in forms]


def choose(network: Architecture, **chosen: Any) -> NetworkConfig:
    """Choose the head without dense layers where there is one: what is before it is the same."""
    head = {"head": "gap"} if network.has_feature_maps else {}
    fields: dict[str, Any] = {**network_defaults(network), "init": "zeros", **head, **chosen}
    return NetworkConfig(architecture=network.name, **fields)


def leaves_something(config: NetworkConfig, side: int) -> bool:
    """Build without the check, and ask for the shapes: not every version of Keras refuses empty maps."""
    features, paper = find_features(config.architecture)
    pixels_BHWC = keras.Input((side, side, 1))
    try:
        x_BN = features(pixels_BHWC, KerasBuilder(seed=0, config=config, paper=paper))
    except ValueError:
        return False
    return all(min(layer.output.shape[1:]) >= 1 for layer in keras.Model(pixels_BHWC, x_BN).layers)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("network", "options"), list_forms())
def test_a_size_is_refused_exactly_where_the_network_cannot_be_built(
    network: Architecture, options: dict[str, OptionValue], pool: str
) -> None:
    config = choose(network, pool=pool, options=options)
    smallest = next(side for side in range(1, LARGEST) if is_taken(config, side))
    assert leaves_something(config, smallest)
    if smallest == 1:
        return
    assert not leaves_something(config, smallest - 1)
    for side in (1, smallest - 1):
        message = f"{network.name} needs images of at least {smallest} pixels .* Received: {side}$"
        with pytest.raises(CatalogError, match=message):
            check_network(config, image_size=side)


@pytest.mark.parametrize("network", WITHOUT_MAPS, ids=lambda network: network.name)
def test_dense_layers_take_images_of_any_size(network: Architecture) -> None:
    config = choose(network)
    assert is_taken(config, 1)
    assert leaves_something(config, 1)


def test_a_network_that_is_new_in_the_catalog_is_checked_without_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def toy(x_BHWC: Any, net: Any) -> Any:
        x_BHWC = net.conv(x_BHWC, filters=2, size=7, stride=2, name="conv1")
        return net.head(net.pool(x_BHWC, name="pool1"), units={})

    module = ModuleType("toy_network")
    module.__dict__["toy"] = toy
    network = Architecture(
        name="toy", summary="toy", source="none", function="toy_network:toy", image_size=32
    )
    monkeypatch.setitem(sys.modules, "toy_network", module)
    monkeypatch.setitem(cast("dict[str, Architecture]", ARCHITECTURES), "toy", network)
    check_network(NetworkConfig(architecture="toy"), image_size=9)
    with pytest.raises(CatalogError, match=r"at least 9 pixels a side, or nothing is left at pool1"):
        check_network(NetworkConfig(architecture="toy"), image_size=8)
