"""Slides a trained network over images of any size: its dense layers become convolutions.

Shapes: B batch, H W image, h w places of the network, S side that the network was trained on, C channels,
N features, U units, K classes.

Source: Sermanet et al., OverFeat: integrated recognition, localization and detection using convolutional
networks, ICLR 2014, section 3.5. Exact for networks without padding; where convolutions pad, the network
sees the neighbourhood of a place instead of zeros.
"""

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from models.catalog.lookup import ARCHITECTURES
from models.errors import CannotSlide


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingNetwork:
    """`model` takes pixels (B, H, W, C) and gives probabilities (B, h, w, K), `stride` pixels apart."""

    model: keras.Model
    side: int
    stride: int

    def boxes(self, height: int, width: int, *, scale: float) -> npt.NDArray[np.float64]:
        """Return where in the image each place looks, (h * w, 4), if the image was scaled by `scale`."""
        tops, lefts = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        corners = np.stack([tops.ravel(), lefts.ravel()], axis=1) * self.stride
        boxes: npt.NDArray[np.float64] = np.concatenate([corners, corners + self.side], axis=1) / scale
        return boxes


def make_sliding(model: keras.Model) -> SlidingNetwork:
    """Rebuild a network of the catalog so that it takes images of any size.

    Raises:
        CannotSlide: the network has no feature maps before its first dense layer.
    """
    side, channels = model.input_shape[1], model.input_shape[-1]
    pixels = keras.Input((None, None, channels), name="pixels")
    x, stride, window = pixels, 1, None
    for layer in model.layers[1:]:
        if isinstance(layer, (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D)):
            window = layer.input.shape[1:]
            if tuple(window[:2]) == (side, side):
                able = ", ".join(name for name, network in ARCHITECTURES.items() if network.has_feature_maps)
                raise CannotSlide(
                    f"{model.name} has no feature maps: dense layers see all pixels at once. "
                    f"Train one of these to detect with: {able}"
                )
            if isinstance(layer, keras.layers.GlobalAveragePooling2D):
                x = keras.layers.AveragePooling2D(window[:2], strides=1)(x)
                window = (1, 1, window[-1])
        elif isinstance(layer, keras.layers.Dense):
            x = _as_convolution(layer, window=window or (1, 1, layer.kernel.shape[0]))(x)
            window = None
        else:
            stride *= layer.strides[0] if hasattr(layer, "strides") else 1
            x = (_for_maps(layer) if window is None and len(layer.output.shape) == 2 else layer)(x)
    return SlidingNetwork(model=keras.Model(pixels, x), side=side, stride=stride)


def _as_convolution(layer: keras.layers.Dense, *, window: tuple[int, int, int]) -> keras.layers.Conv2D:
    """Make a convolution whose filter covers the window that the dense layer has seen."""
    convolution = keras.layers.Conv2D(layer.units, window[:2], use_bias=layer.use_bias, name=layer.name)
    convolution.build((None, None, None, window[2]))
    kernel_NU, *bias = layer.get_weights()
    convolution.set_weights([kernel_NU.reshape(*window, layer.units), *bias])
    return convolution


def _for_maps(layer: keras.Layer) -> keras.Layer:
    """Make a layer that was built for rows of features anew for maps of them."""
    again = type(layer).from_config(layer.get_config())
    again.build((None, None, None, layer.output.shape[-1]))
    again.set_weights(layer.get_weights())
    return again
