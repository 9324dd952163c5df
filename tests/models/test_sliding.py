from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras.ops import convert_to_numpy

from models.errors import CannotSlide
from models.inference.sliding import make_sliding

Build = Callable[..., Any]
RANDOM = np.random.default_rng(0)


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
    network = build("lenet5", init="he_normal", pixel_mean=[120.0] * 3, pixel_std=[60.0] * 3, **overrides)
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


@pytest.mark.parametrize("architecture", ["convnet4", "alexnet", "vgg"])
def test_at_its_own_size_every_network_gives_its_own_answer(build: Build, architecture: str) -> None:
    network = build(architecture, init="he_normal", pixel_mean=[120.0] * 3, pixel_std=[60.0] * 3)
    image = RANDOM.integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    found = convert_to_numpy(make_sliding(network).model(image))
    assert found.shape == (1, 1, 1, 10)
    np.testing.assert_allclose(found[0, 0], convert_to_numpy(network(image)), atol=1e-5)


def test_boxes_are_given_in_pixels_of_the_unscaled_image(build: Build) -> None:
    boxes = make_sliding(build("lenet5")).boxes(2, 2, scale=2.0)
    assert boxes.tolist() == [[0, 0, 16, 16], [0, 2, 16, 18], [2, 0, 18, 16], [2, 2, 18, 18]]


@pytest.mark.parametrize("architecture", ["softmax", "mlp"])
def test_a_network_without_feature_maps_cannot_slide(build: Build, architecture: str) -> None:
    with pytest.raises(CannotSlide, match=f"{architecture} has no feature maps"):
        make_sliding(build(architecture))
