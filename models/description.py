"""Counts what each layer of a network costs: parameters, multiply-adds, memory, and how far it sees.

Shapes: B batch, H W space, C channels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from models.catalog.cost_sheet import LayerCost
from models.catalog.training_memory import predict_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDescription:
    """One layer; shapes and activations are for one image, `macs` are multiply-adds.

    `receptive_field` is the side, in pixels, of what one output sees; `stride` is how many pixels lie between
    two neighbouring outputs. Both are None where there is no space left. `dense_parameters` is what a dense
    layer with the same input and output would need; None for other layers than convolutions and dense ones.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    activations: int
    parameters: int
    macs: int
    receptive_field: int | None
    stride: int | None
    dense_parameters: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A network's layers in order.

    `training_bytes` is an estimate for one batch size on one device, with float32 and momentum.
    """

    architecture: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerDescription, ...]
    total_parameters: int
    total_macs: int
    training_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    receptive_field: int
    stride: int


def describe_model(model: keras.Model, *, batch_size: int) -> ModelDescription:
    """Describe a network of convolutions, poolings, dense layers and layers that work element by element.

    The memory is that of one step, see `models.catalog.training_memory`; a process also needs the
    images of the dataset and a GPU's context.
    """
    views: dict[int, _View | None] = {id(model.inputs[0]): _View(receptive_field=1, stride=1)}
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    described = tuple(_describe_layer(layer, views=views) for layer in layers)
    return ModelDescription(
        architecture=model.name,
        input_shape=tuple(model.inputs[0].shape[1:]),
        layers=described,
        total_parameters=model.count_params(),
        total_macs=sum(row.macs for row in described),
        training_bytes=predict_memory(list_costs(model), batch_size=batch_size).total,
    )


def list_costs(model: keras.Model) -> Sequence[LayerCost]:
    """The layers of a built network as `models.catalog.costs` counts them without building."""
    return [
        LayerCost(
            name=layer.name,
            kind=type(layer).__name__,
            inputs=math.prod(layer.input.shape[1:]),
            output_shape=tuple(layer.output.shape[1:]),
            trained=sum(math.prod(variable.shape) for variable in layer.trainable_weights),
            untrained=sum(math.prod(variable.shape) for variable in layer.non_trainable_weights),
        )
        for layer in model.layers
        if not isinstance(layer, (keras.layers.InputLayer, keras.layers.Rescaling))
    ]


def _describe_layer(layer: keras.Layer, *, views: dict[int, _View | None]) -> LayerDescription:
    view = _widen(layer, views=[views[id(tensor)] for tensor in keras.tree.flatten(layer.input)])
    views[id(layer.output)] = view
    output_shape = tuple(layer.output.shape[1:])
    return LayerDescription(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=output_shape,
        activations=math.prod(output_shape),
        parameters=layer.count_params(),
        macs=_macs(layer, output_shape=output_shape),
        receptive_field=view.receptive_field if view else None,
        stride=view.stride if view else None,
        dense_parameters=_dense_parameters(layer, num_outputs=math.prod(output_shape)),
    )


def _widen(layer: keras.Layer, *, views: Sequence[_View | None]) -> _View | None:
    """Return how far a layer sees: a window of k adds k - 1 of the steps that separate its inputs."""
    known = [view for view in views if view]
    if len(layer.output.shape) != 4 or not known:
        return None
    widest = max(known, key=lambda view: view.receptive_field)
    window, stride = _window_and_stride(layer)
    return _View(
        receptive_field=widest.receptive_field + (window - 1) * widest.stride, stride=widest.stride * stride
    )


def _window_and_stride(layer: keras.Layer) -> tuple[int, int]:
    if isinstance(layer, keras.layers.Conv2D):
        return (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0]
    if isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)):
        return layer.pool_size[0], layer.strides[0]
    return 1, 1


def _macs(layer: keras.Layer, *, output_shape: tuple[int, ...]) -> int:
    """Count multiply-adds for one image; those of biases and element-wise layers are left out as usual."""
    if isinstance(layer, keras.layers.Conv2D):
        return int(math.prod(layer.kernel.shape)) * math.prod(output_shape[:-1])
    if isinstance(layer, keras.layers.Dense):
        return int(math.prod(layer.kernel.shape))
    return 0


def _dense_parameters(layer: keras.Layer, *, num_outputs: int) -> int | None:
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
        return None
    return int(math.prod(layer.input.shape[1:])) * num_outputs + (num_outputs if layer.use_bias else 0)
