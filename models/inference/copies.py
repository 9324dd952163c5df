"""Copies of a trained network for other programs: of Keras's own layers, or in float32.

Shapes: B batch, H W space, C channels.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from models.layers.dropout import Dropout
from models.layers.local_response_normalization import LocalResponseNormalization
from models.layers.spatial_dropout import SpatialDropout2D
from models.layers.tower_conv2d import TowerConv2D

# What initialized, penalized, froze or averaged a weight is history: the copy has the weights.
HISTORY = (
    *("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer"),
    *("trainable", "synchronized"),  # the latter is known to TensorFlow alone
)
KERAS_HAS: Mapping[type[keras.Layer], type[keras.Layer]] = {
    Dropout: keras.layers.Dropout,
    SpatialDropout2D: keras.layers.SpatialDropout2D,
    TowerConv2D: keras.layers.Conv2D,  # with the same kernel: its groups are the towers
}


def copy_in_plain_keras(model: keras.Model) -> keras.Model:
    """Rebuild a network so that a process with Keras alone can load it: the same answers, to 1e-6."""

    def copy(layer: keras.Layer) -> keras.Layer:
        config = {name: value for name, value in layer.get_config().items() if name not in HISTORY}
        return KERAS_HAS.get(type(layer), type(layer)).from_config(config)

    return _copy(model, copy, replace=_normalize)


def copy_in_float32(model: keras.Model) -> keras.Model:
    """Rebuild a network of another arithmetic in float32, which every program reads."""
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    return _copy(model, lambda layer: type(layer).from_config({**layer.get_config(), "dtype": "float32"}))


def _copy(
    model: keras.Model,
    copy: Callable[[keras.Layer], keras.Layer],
    *,
    replace: Callable[[keras.Layer, keras.KerasTensor], keras.KerasTensor] | None = None,
) -> keras.Model:
    """Copy layer by layer, with the weights; `replace` takes the place of local response normalization."""

    def call(layer: keras.Layer, *inputs: Any, **arguments: Any) -> Any:
        if replace and isinstance(layer, LocalResponseNormalization):
            return replace(layer, *inputs)
        return layer(*inputs, **arguments)

    copied = keras.models.clone_model(model, clone_function=copy, call_function=call)
    for layer in model.layers:
        if layer.weights:
            copied.get_layer(layer.name).set_weights(layer.get_weights())
    return copied


def _normalize(layer: keras.Layer, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
    """Local response normalization in plain layers.

    The sums over channels are a 1x1 convolution, those within maps one that takes each map apart.
    """
    channels, n = x_BHWC.shape[-1], layer.n
    same = {"trainable": False, "dtype": "float32", "name": f"{layer.name}_sums"}
    if layer.within:
        kernel = np.full((n, n, channels, 1), layer.alpha)
        sums = keras.layers.DepthwiseConv2D(n, padding="same", **same)
    else:
        group = np.arange(channels) // (channels // layer.groups)
        near = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels))) <= n // 2
        kernel = (layer.alpha * (near & (group[:, None] == group)))[None, None]
        sums = keras.layers.Conv2D(channels, 1, **same)
    exact_BHWC = ops.cast(x_BHWC, "float32")
    d_BHWC = sums(ops.square(exact_BHWC))
    sums.set_weights([kernel, np.full(channels, layer.k)])
    return ops.cast(exact_BHWC * ops.power(d_BHWC, -layer.beta), x_BHWC.dtype)
