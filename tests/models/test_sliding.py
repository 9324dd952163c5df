from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from keras.ops import convert_to_numpy

from models.build import build_model
from models.catalog.lookup import ARCHITECTURES, Architecture
from models.inference.sliding import make_sliding
from tests.models.declared_network import choose, is_taken, narrow

Build = Callable[..., Any]
RANDOM = np.random.default_rng(0)
STANDARDIZED: Mapping[str, Any] = {"pixel_mean": [120.0] * 3, "pixel_std": [60.0] * 3}
WITH_MAPS = [network for network in ARCHITECTURES.values() if network.has_feature_maps]
LEAST_SIDE = 32  # pixels


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"norm": "batch"},
        {"head": "gap"},
        {"dropout": "standard:0.5", "dropout_place": "all", "norm": "lrn"},
        {"pool": "average:2/2", "activation": "tanh"},
    ],
)
def test_every_place_gives_what_the_network_gives_for_its_crop(build: Build, overrides: Any) -> None:
    network = build("lenet5", init="he_normal", **STANDARDIZED, **overrides)
    for weight in network.weights:  # biases and moving statistics that are not those of a new network
        weight.assign(weight + RANDOM.uniform(0, 0.1, weight.shape))
    sliding = make_sliding(network)
    image = RANDOM.integers(0, 256, (1, 44, 52, 3)).astype(np.float32)
    found_hwK = convert_to_numpy(sliding.model(image))[0]
    assert sliding.stride == 4
    assert found_hwK.shape == (4, 6, 10)
    for number, (top, left, bottom, right) in enumerate(sliding.boxes(4, 6, scale=1.0).astype(int)):
        expected_K = convert_to_numpy(network(image[:, top:bottom, left:right]))[0]
        np.testing.assert_allclose(found_hwK[number // 6, number % 6], expected_K, atol=1e-5)


@pytest.mark.parametrize("network", WITH_MAPS, ids=lambda network: network.name)
def test_at_its_own_size_every_network_gives_its_own_answer(network: Architecture) -> None:
    config = choose(network, options=narrow(network), init="he_normal")
    side = next(side for side in range(LEAST_SIDE, network.image_size + 1) if is_taken(config, side))
    model = build_model(config, input_shape=(side, side, 3), num_classes=10, seed=7, **STANDARDIZED)
    image = RANDOM.integers(0, 256, (1, side, side, 3)).astype(np.float32)
    found = convert_to_numpy(make_sliding(model).model(image))
    assert found.shape == (1, 1, 1, 10)
    np.testing.assert_allclose(found[0, 0], convert_to_numpy(model(image)), atol=1e-5)


def test_boxes_are_given_in_pixels_of_the_unscaled_image(build: Build) -> None:
    boxes = make_sliding(build("lenet5")).boxes(2, 2, scale=2.0)
    assert boxes.tolist() == [[0, 0, 16, 16], [0, 2, 16, 18], [2, 0, 18, 16], [2, 2, 18, 18]]
