"""Predicts the memory of one training step from counted layers: the one rule that all of the project uses.

Imports neither NumPy nor Keras. All figures are bytes of one replica. A whole process also needs the images
of the dataset and a GPU's context, which are no part of a step: see `service.commands.jobs.job_memory`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from models.catalog.cost_sheet import LayerCost

FLOAT32_BYTES = 4
BFLOAT16_BYTES = 2
MIXED = "mixed_bfloat16"

# Numbers that the backward pass still needs of a layer, per number that comes out. What is not here keeps
# nothing of its own: TensorFlow adds biases and applies activations in place, and a flattened map is the
# same memory. The activation's output stands for the convolution's or dense layer's.
_KEPT_PER_OUTPUT = {
    "Activation": 1.0,
    "BatchNormalization": 1.0,  # what comes in; what goes out is overwritten by the activation
    "LocalResponseNormalization": 3.0,  # besides the output the sum of squares and its power
    "MaxPooling2D": 1.0,
    "AveragePooling2D": 1.0,
    "GlobalAveragePooling2D": 1.0,
    "ZeroPadding2D": 1.0,
    "Dropout": 1.25,  # the mask is one byte a number
    "SpatialDropout2D": 1.0,  # its mask is one number a channel
}
# The same per number that comes in: towers work on copies of their halves of the input.
_KEPT_PER_INPUT = {"TowerConv2D": 1.0}
_PASSES_NOTHING = frozenset({"Flatten"})
_CONVOLUTIONS = frozenset({"Conv2D", "TowerConv2D"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMemory:
    """Bytes of one replica's step, by what they are for.

    `workspace` is needed only while one layer is computed backwards: the gradients of its activations, and
    what the convolution library asks for.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    input: int
    workspace: int

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))


def count_slots(optimizer: str, *, momentum: float) -> int:
    """Return how many numbers an optimizer keeps for each trained parameter."""
    return {"adam": 2, "adamw": 2}.get(optimizer, 1 if momentum else 0)


def predict_memory(
    layers: Sequence[LayerCost],
    *,
    batch_size: int,
    optimizer_slots: int = 1,
    replicas: int = 1,
    precision: str = "float32",
) -> TrainingMemory:
    """Predict the memory that a training step takes on one replica.

    Parts are added up as if all were there at once, so the prediction is rather too high: activations go
    while gradients come. It grows by the same bytes with every image, so that the largest batch that fits
    follows from two predictions.
    """
    trained = sum(layer.trained for layer in layers)
    parameters = trained + sum(layer.untrained for layer in layers)
    mixed = precision == MIXED
    activation_bytes = BFLOAT16_BYTES if mixed else FLOAT32_BYTES
    # Mixed precision computes with a copy of each weight.
    copy_bytes = BFLOAT16_BYTES if mixed else 0
    # Replicas sum their gradients in one vector beside them.
    gradient_copies = 1 if replicas == 1 else 2
    return TrainingMemory(
        parameters=FLOAT32_BYTES * parameters + copy_bytes * trained,
        gradients=FLOAT32_BYTES * trained * gradient_copies,
        optimizer=FLOAT32_BYTES * trained * optimizer_slots,
        activations=batch_size * round(sum(_kept_bytes(layer, activation_bytes) for layer in layers)),
        input=batch_size * FLOAT32_BYTES * layers[0].inputs,
        workspace=batch_size * activation_bytes * max(map(_passing, layers)),
    )


def largest_batch(*, none: int, one: int, capacity: int) -> int:
    """Return how many images fit into `capacity` bytes, given the bytes that no image and one image take."""
    return max(0, (capacity - none) // (one - none))


def _kept_bytes(layer: LayerCost, activation_bytes: int) -> float:
    # LRN is computed in float32 whatever the precision.
    number_bytes = FLOAT32_BYTES if layer.kind == "LocalResponseNormalization" else activation_bytes
    kept = layer.outputs * _KEPT_PER_OUTPUT.get(layer.kind, 0.0)
    return number_bytes * (kept + layer.inputs * _KEPT_PER_INPUT.get(layer.kind, 0.0))


def _passing(layer: LayerCost) -> int:
    """Numbers that are there only while a layer is computed backwards.

    The gradients of what comes out and goes in. For a convolution the same again as an allowance for the
    library's workspace: an assumption. cuDNN offers algorithms that need none, and takes faster ones, up to
    TensorFlow's limit of 4 GiB, where there is room.
    """
    gradients = 0 if layer.kind in _PASSES_NOTHING else layer.inputs + layer.outputs
    return 2 * gradients if layer.kind in _CONVOLUTIONS else gradients
