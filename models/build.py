"""Builds a network of the catalog as a Keras model, from raw pixels to class probabilities.

Shapes: B batch, H W space, C channels, N features, K classes.
"""

from collections.abc import Sequence

import keras

from models.catalog.costs import check_network
from models.catalog.network_builder import find_features
from models.catalog.network_config import NetworkConfig
from models.keras_builder import KerasBuilder


def build_model(
    config: NetworkConfig,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    seed: int,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
) -> keras.Model:
    """Build a network that takes pixels (B, H, W, C) from 0 to 255 and gives probabilities (B, K).

    The same arguments give the same weights. With the mean and standard deviation of each channel, the
    network standardizes the pixels itself, so that a saved model needs nothing beside it. The
    probabilities are float32 under every dtype policy.

    Raises:
        CatalogError: the images are too small, or the layers too many.
        ValueError: a mean or standard deviation that does not fit the channels.
    """
    check_network(config, image_size=min(input_shape[:2]))
    features, paper = find_features(config.architecture)
    net = KerasBuilder(seed=seed, config=config, paper=paper)
    pixels_BHWC = keras.Input(input_shape, name="pixels", dtype="float32")
    x_BHWC = _standardize(pixels_BHWC, mean=pixel_mean, std=pixel_std)
    logits_BK = net.logits(features(x_BHWC, net), num_classes=num_classes)
    # bfloat16 has 8 significant bits: too few for a sum over classes and for the loss's logarithm.
    probabilities_BK = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits_BK)
    return keras.Model(pixels_BHWC, probabilities_BK, name=config.architecture)


def logits_model(model: keras.Model) -> keras.Model:
    """Return a model on the same variables that ends at the logits (B, K): losses are more exact on them."""
    return keras.Model(model.input, model.get_layer("logits").output, name=f"{model.name}_logits")


def _standardize(
    pixels_BHWC: keras.KerasTensor, *, mean: Sequence[float] | None, std: Sequence[float] | None
) -> keras.KerasTensor:
    if mean is None and std is None:
        return pixels_BHWC
    channels = pixels_BHWC.shape[-1]
    if (
        mean is None
        or std is None
        or len(mean) != channels
        or len(std) != channels
        or not all(s > 0 for s in std)
    ):
        raise ValueError(
            "pixel_mean and pixel_std come together, one number per channel, each deviation above 0. "
            f"Received: {channels} channels, pixel_mean={mean}, pixel_std={std}"
        )
    scale = [1 / float(s) for s in std]
    offset = [-float(m) / float(s) for m, s in zip(mean, std, strict=True)]
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="standardize")(pixels_BHWC)
