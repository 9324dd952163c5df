"""Networks as the catalog declares them, for the tests that every entry must pass by itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.build import build_model
from models.catalog.costs import check_network
from models.catalog.lookup import Architecture, CatalogError, OptionValue
from models.catalog.network_config import NetworkConfig
from service.domain.spec_request import resolve_spec

NUM_CLASSES = 10
IMAGES = 4
MEAN, DEVIATION = [120.0, 121.0, 122.0], [60.0, 61.0, 62.0]
PIECES: Mapping[str, Mapping[str, str]] = {
    "as declared": {},
    "batch": {"norm": "batch", "init": "orthogonal"},
    "lrn": {"norm": "lrn", "dropout": "spatial:0.2", "dropout_place": "pool", "head": "gap"},
}


def choose(
    network: Architecture, *, options: Mapping[str, OptionValue] | None = None, **chosen: Any
) -> NetworkConfig:
    """Choose what a submission without any field resolves to."""
    config = resolve_spec(network.name, {}).model
    return replace(config, options={**config.options, **(options or {})}, **chosen)


def narrow(network: Architecture) -> dict[str, OptionValue]:
    """Every factor of a network at its smallest: the same layers, and quick to train and to save."""
    return {
        option.name: min(option.choices)
        for option in network.options
        if isinstance(option.default, float) and option.choices
    }


def is_taken(config: NetworkConfig, side: int) -> bool:
    """Whether the network can be built for images of this size."""
    try:
        check_network(config, image_size=side)
    except CatalogError:
        return False
    return True


def image_shape(network: Architecture) -> tuple[int, int, int]:
    return network.image_size, network.image_size, 3


def build_declared(network: Architecture, config: NetworkConfig) -> Any:
    """Build for images of the network's own size, which it standardizes as the trainer lets it."""
    return build_model(
        config,
        input_shape=image_shape(network),
        num_classes=NUM_CLASSES,
        seed=7,
        pixel_mean=MEAN,
        pixel_std=DEVIATION,
    )


def draw_images(network: Architecture) -> tuple[Any, Any]:
    """Draw pixels (B, H, W, C) and labels (B,)."""
    random = np.random.default_rng(0)
    x_BHWC = random.integers(0, 256, (IMAGES, *image_shape(network))).astype(np.float32)
    return x_BHWC, np.arange(IMAGES, dtype=np.int32)


def list_pieces(network: Architecture) -> Mapping[str, Mapping[str, str]]:
    """Those pieces that the network can be built of."""
    if network.has_feature_maps:
        return PIECES
    return {name: PIECES[name] for name in ("as declared", "batch")[: 1 + network.has_hidden_layers]}
