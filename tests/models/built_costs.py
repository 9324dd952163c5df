"""Counts the layers of a network that Keras has built, for comparisons with what the catalog counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from models.catalog.cost_sheet import LayerCost
from models.layers.local_response_normalization import LocalResponseNormalization


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    receptive_field: int
    stride: int


def list_costs(model: Any) -> Sequence[LayerCost]:
    """The layers of a built network as `models.catalog.costs` counts them without building."""
    views: dict[int, _View | None] = {id(model.inputs[0]): _View(receptive_field=1, stride=1)}
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    costs = [_count_layer(layer, views=views) for layer in layers]
    return [cost for cost in costs if cost.kind != "Rescaling"]  # of pixels: part of no architecture


def _count_layer(layer: Any, *, views: dict[int, _View | None]) -> LayerCost:
    view = _widen(layer, views=[views[id(tensor)] for tensor in keras.tree.flatten(layer.input)])
    views[id(layer.output)] = view
    output_shape = tuple(layer.output.shape[1:])
    return LayerCost(
        name=layer.name,
        kind=type(layer).__name__,
        inputs=math.prod(layer.input.shape[1:]),
        output_shape=output_shape,
        trained=sum(math.prod(variable.shape) for variable in layer.trainable_weights),
        untrained=sum(math.prod(variable.shape) for variable in layer.non_trainable_weights),
        macs=_macs(layer, output_shape=output_shape),
        receptive_field=view.receptive_field if view else None,
        stride=view.stride if view else None,
        dense_parameters=_dense_parameters(layer, num_outputs=math.prod(output_shape)),
    )


def _widen(layer: Any, *, views: Sequence[_View | None]) -> _View | None:
    """Return how far a layer sees: a window of k adds k - 1 of the steps that separate its inputs."""
    known = [view for view in views if view]
    if len(layer.output.shape) != 4 or not known:
        return None
    widest = max(known, key=lambda view: view.receptive_field)
    window, stride = _window_and_stride(layer)
    return _View(
        receptive_field=widest.receptive_field + (window - 1) * widest.stride, stride=widest.stride * stride
    )


def _window_and_stride(layer: Any) -> tuple[int, int]:
    if isinstance(layer, keras.layers.Conv2D):
        return (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0]
    if isinstance(layer, LocalResponseNormalization) and layer.within:
        return layer.n, 1
    if isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)):
        return layer.pool_size[0], layer.strides[0]
    return 1, 1


def _macs(layer: Any, *, output_shape: tuple[int, ...]) -> int:
    if isinstance(layer, keras.layers.Conv2D):
        return int(math.prod(layer.kernel.shape)) * math.prod(output_shape[:-1])
    return int(math.prod(layer.kernel.shape)) if isinstance(layer, keras.layers.Dense) else 0


def _dense_parameters(layer: Any, *, num_outputs: int) -> int | None:
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
        return None
    return int(math.prod(layer.input.shape[1:])) * num_outputs + (num_outputs if layer.use_bias else 0)
