"""Counts the layers of a network, which tells whether it can be built. Imports neither NumPy nor Keras.

The architecture's own function describes the network; its steps are counted and not built.
"""

from collections.abc import Sequence

from models.catalog.cost_sheet import CostBuilder, Counted, LayerCost, WindowDoesNotFit
from models.catalog.entries import CatalogError
from models.catalog.network_builder import find_features
from models.catalog.network_config import NetworkConfig

Shape = tuple[int, int, int]
LARGEST_SIDE = 65_536


def check_network(config: NetworkConfig, *, image_size: int) -> None:
    """Check that a network can be built for images of a size (shorter side, pixels).

    Raises:
        CatalogError: nothing would be left of the image, or the layers are too many.
    """
    count_layers(config, input_shape=(image_size, image_size, 1), num_classes=1)


def count_layers(config: NetworkConfig, *, input_shape: Shape, num_classes: int) -> Sequence[LayerCost]:
    """Count the layers of a network for images (H, W, C), as `models.build` would build them, in order.

    Raises:
        CatalogError: it cannot be built.
    """
    try:
        return _walk(config, input_shape=input_shape, num_classes=num_classes)
    except WindowDoesNotFit as error:
        raise CatalogError(
            f"{config.architecture} needs images of at least {_grow(config, error.least_side)} pixels a "
            f"side, or nothing is left at {error.layer}. Received: {min(input_shape[:2])}"
        ) from None


def _grow(config: NetworkConfig, side: int) -> int:
    """Return the smallest side that is enough for all layers: a later one may need more than `side`."""
    while side < LARGEST_SIDE:  # beyond, the number helps nobody
        try:
            _walk(config, input_shape=(side, side, 1), num_classes=1)
        except WindowDoesNotFit as error:
            side = error.least_side
        else:
            break
    return side


def _walk(config: NetworkConfig, *, input_shape: Shape, num_classes: int) -> Sequence[LayerCost]:
    features, _ = find_features(config.architecture)
    sheet = CostBuilder(config=config)
    logits = sheet.logits(features(Counted(sides=input_shape), sheet), num_classes=num_classes)
    sheet.add_activation(logits, name="probabilities")
    return sheet.layers
