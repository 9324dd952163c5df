"""Says what a network costs, layer by layer, without Keras: `models.catalog.costs` counts its layers."""

import reprlib
from collections.abc import Mapping

from cnnctl.views.networks import LayerView, NetworkView
from cnnctl.views.requests import NetworkRequest
from models.catalog.cost_sheet import LayerCost
from models.catalog.costs import Shape, count_layers
from models.catalog.training_memory import predict_memory
from service.domain.bounds import check_option
from service.domain.spec_request import resolve_spec
from service.errors import SpecError

COLOURS = 3  # channels of an image, where nothing else is said


def describe_network(architecture: str, request: NetworkRequest) -> NetworkView:
    """Count what a network costs that a submission would train with the same fields.

    Every number is bounded before it is counted with, and at most `MOST_LAYERS` layers are counted.

    Raises:
        SpecError: see `resolve_spec`; a field is none of the network, or a number is beyond its bounds.
    """
    check_option("--classes", request.classes)
    check_option("--batch-size", request.batch_size)
    given = _check_shape(request)
    size = {"data.image_size": min(given[:2])} if given else {}
    spec = resolve_spec(architecture, {**_check_fields(request.fields), **size})
    shape = given or (spec.data.image_size, spec.data.image_size, COLOURS)
    layers = count_layers(spec.model, input_shape=shape, num_classes=request.classes)
    return NetworkView(
        architecture=spec.model.architecture,
        input_shape=shape,
        layers=tuple(map(_describe, layers)),
        total_parameters=sum(layer.parameters for layer in layers),
        total_macs=sum(layer.macs for layer in layers),
        training_bytes=predict_memory(layers, batch_size=request.batch_size).total,
    )


def _check_shape(request: NetworkRequest) -> Shape | None:
    if request.input_shape is None:
        return None
    if len(request.input_shape) != 3:
        received = reprlib.repr(list(request.input_shape))
        raise SpecError(f"--input takes height, width and channels of an image. Received: {received}")
    for side in request.input_shape:
        check_option("--input", side)
    height, width, channels = request.input_shape
    return height, width, channels


def _check_fields(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Fields of the network alone, by their whole paths: `head` is `model.head`."""
    given = {path if "." in path else f"model.{path}": value for path, value in fields.items()}
    for path in given:
        if not path.startswith("model."):
            raise SpecError(
                f"describe takes fields of the network, as in model.head=gap. Received: {reprlib.repr(path)}"
            )
    return given


def _describe(layer: LayerCost) -> LayerView:
    return LayerView(
        name=layer.name,
        kind=layer.kind,
        output_shape=layer.output_shape,
        activations=layer.outputs,
        parameters=layer.parameters,
        macs=layer.macs,
        receptive_field=layer.receptive_field,
        stride=layer.stride,
        dense_parameters=layer.dense_parameters,
    )
