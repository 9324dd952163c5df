"""Counts what the layers of a network cost, from its choices alone. Imports neither NumPy nor Keras.

The architecture's own function describes the network; here its steps are counted and not built. A test holds
every layer against the one that Keras builds.

Shapes: B batch, H W space, C channels, N features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.catalog.network_builder import Blueprint, find_features
from models.catalog.network_config import NetworkChoice, check_network
from models.catalog.spatial_steps import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One layer, for one image: Keras class, numbers that go in, shape that comes out, weights."""

    name: str
    kind: str
    inputs: int
    output_shape: tuple[int, ...]
    trained: int = 0
    untrained: int = 0

    @property
    def outputs(self) -> int:
        return math.prod(self.output_shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Stands for a tensor: `sides` is its shape without the batch."""

    sides: tuple[int, ...]

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, *self.sides)

    @property
    def numbers(self) -> int:
        return math.prod(self.sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSheet(Blueprint[Counted]):
    """Writes down every layer that it is asked for."""

    layers: list[LayerCost] = field(default_factory=list)

    def add_conv(
        self, x_BHWC: Counted, *, filters: int, size: int, name: str, stride: int, padding: str, groups: int
    ) -> Counted:
        height, width = _slide(x_BHWC, size=size, stride=stride, padding=padding)
        kernel = size * size * (x_BHWC.sides[-1] // groups) * filters
        kind = "TowerConv2D" if groups > 1 else "Conv2D"
        trained = kernel + self._biases(name, filters)
        return self._note(x_BHWC, kind, name=name, sides=(height, width, filters), trained=trained)

    def add_dense(self, x_BN: Counted, *, units: int, name: str) -> Counted:
        trained = x_BN.numbers * units + self._biases(name, units)
        return self._note(x_BN, "Dense", name=name, sides=(units,), trained=trained)

    def add_batch_norm(self, x: Counted, *, name: str) -> Counted:
        channels = x.sides[-1]  # scale and shift are trained, moving mean and variance are not
        return self._note(
            x, "BatchNormalization", name=name, sides=x.sides, trained=2 * channels, untrained=2 * channels
        )

    def add_activation(self, x: Counted, *, name: str) -> Counted:
        return self._note(x, "Activation", name=name, sides=x.sides)

    def add_lrn(self, x_BHWC: Counted, *, name: str, groups: int) -> Counted:
        return self._note(x_BHWC, "LocalResponseNormalization", name=name, sides=x_BHWC.sides)

    def add_padding(self, x_BHWC: Counted, *, pixels: int, name: str) -> Counted:
        height, width, channels = x_BHWC.sides
        sides = (height + 2 * pixels, width + 2 * pixels, channels)
        return self._note(x_BHWC, "ZeroPadding2D", name=name, sides=sides)

    def add_pool(self, x_BHWC: Counted, *, name: str, padding: str) -> Counted:
        pool = self.choice.parsed_pool
        height, width = _slide(x_BHWC, size=pool.size, stride=pool.stride, padding=padding)
        kind = "MaxPooling2D" if pool.kind == "max" else "AveragePooling2D"
        return self._note(x_BHWC, kind, name=name, sides=(height, width, x_BHWC.sides[-1]))

    def add_dropout(self, x: Counted, *, name: str) -> Counted:
        kind = "SpatialDropout2D" if self.choice.parsed_dropout.name == "spatial" else "Dropout"
        return self._note(x, kind, name=name, sides=x.sides)

    def add_flatten(self, x_BHWC: Counted, *, name: str) -> Counted:
        return self._note(x_BHWC, "Flatten", name=name, sides=(x_BHWC.numbers,))

    def add_average(self, x_BHWC: Counted, *, name: str) -> Counted:
        return self._note(x_BHWC, "GlobalAveragePooling2D", name=name, sides=x_BHWC.sides[-1:])

    def _biases(self, name: str, count: int) -> int:
        return count if self.uses_bias(name) else 0

    def _note(
        self,
        x: Counted,
        kind: str,
        *,
        name: str,
        sides: tuple[int, ...],
        trained: int = 0,
        untrained: int = 0,
    ) -> Counted:
        cost = LayerCost(
            name=name,
            kind=kind,
            inputs=x.numbers,
            output_shape=sides,
            trained=trained,
            untrained=untrained,
        )
        self.layers.append(cost)
        return Counted(sides=sides)


def count_layers(
    choice: NetworkChoice, *, input_shape: tuple[int, int, int], num_classes: int
) -> Sequence[LayerCost]:
    """Count the layers of a network for images (H, W, C), as `models.build` would build them, in order.

    Raises:
        CatalogError: it cannot be built.
    """
    choice = check_network(choice, image_size=min(input_shape[:2]))
    features, _ = find_features(choice.architecture)
    sheet = CostSheet(choice=choice)
    logits = sheet.logits(features(Counted(sides=input_shape), sheet), num_classes=num_classes)
    sheet.add_activation(logits, name="probabilities")
    return sheet.layers


def _slide(x_BHWC: Counted, *, size: int, stride: int, padding: str) -> tuple[int, int]:
    """The sides of what a window leaves."""
    window = Window(name="", size=size, stride=stride, same=padding == "same")
    height, width, _ = x_BHWC.sides
    return window.output_side(height), window.output_side(width)
