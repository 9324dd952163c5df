"""Counts what each layer of a network costs, without building it. Imports neither NumPy nor Keras.

The one place that knows how a layer changes an image's size. A test holds every layer against the one that
Keras builds.

Shapes: B batch, H W space, C channels, N features.
"""

import math
from dataclasses import dataclass, field, replace

from models.catalog.entries import CatalogError
from models.catalog.network_builder import NetworkBuilder

MOST_LAYERS = 1_000  # more than anybody trains: a slip in an option must not keep whoever counts busy


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One layer, for one image: Keras class, numbers that go in, shape that comes out, weights.

    `macs` are multiply-adds; those of biases and element-wise layers are left out, as usual.
    `receptive_field` is the side, in pixels, of what one output sees, `stride` how many pixels lie between
    two neighbouring outputs; both are None where there is no space left. `dense_parameters` is what a dense
    layer with the same input and output would need; None without a kernel.
    """

    name: str
    kind: str
    inputs: int
    output_shape: tuple[int, ...]
    trained: int = 0
    untrained: int = 0
    macs: int = 0
    receptive_field: int | None = None
    stride: int | None = None
    dense_parameters: int | None = None

    @property
    def outputs(self) -> int:
        return math.prod(self.output_shape)

    @property
    def parameters(self) -> int:
        return self.trained + self.untrained


class WindowDoesNotFit(Exception):
    """Nothing is left of the image at `layer`, which needs images of at least `least_side` pixels a side."""

    def __init__(self, layer: str, *, least_side: int) -> None:
        super().__init__(layer)
        self.layer = layer
        self.least_side = least_side


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Stands for a tensor: `sides` is its shape without the batch.

    Something is left here of images of at least `least_side` pixels a side. Each number sees
    `receptive_field` pixels a side; two neighbours are `stride` pixels of the image apart.
    """

    sides: tuple[int, ...]
    least_side: int = 1
    receptive_field: int = 1
    stride: int = 1

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, *self.sides)

    @property
    def numbers(self) -> int:
        return math.prod(self.sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBuilder(NetworkBuilder[Counted]):
    """Writes down every layer that it is asked for."""

    layers: list[LayerCost] = field(default_factory=list)

    def add_conv(
        self, x_BHWC: Counted, *, filters: int, size: int, name: str, stride: int, padding: str, groups: int
    ) -> Counted:
        y_BHWC = _slide(x_BHWC, layer=name, size=size, stride=stride, padding=padding, channels=filters)
        kernel = size * size * (x_BHWC.sides[-1] // groups) * filters
        kind = "TowerConv2D" if groups > 1 else "Conv2D"
        return self._note_kernel(x_BHWC, kind, y_BHWC, name=name, kernel=kernel)

    def add_dense(self, x_BN: Counted, *, units: int, name: str) -> Counted:
        y_BN = Counted(sides=(units,))
        return self._note_kernel(x_BN, "Dense", y_BN, name=name, kernel=x_BN.numbers * units)

    def add_batch_norm(self, x: Counted, *, name: str) -> Counted:
        both = 2 * x.sides[-1]  # scale and shift are trained, moving mean and variance are not
        return self._note(x, "BatchNormalization", x, name=name, trained=both, untrained=both)

    def add_activation(self, x: Counted, *, name: str) -> Counted:
        return self._note(x, "Activation", x, name=name)

    def add_lrn(self, x_BHWC: Counted, *, name: str, groups: int) -> Counted:
        lrn = self.config.parsed_lrn
        reach = (lrn.n - 1) * x_BHWC.stride if lrn and lrn.within else 0
        y_BHWC = replace(x_BHWC, receptive_field=x_BHWC.receptive_field + reach)
        return self._note(x_BHWC, "LocalResponseNormalization", y_BHWC, name=name)

    def add_padding(self, x_BHWC: Counted, *, pixels: int, name: str) -> Counted:
        return self._note(x_BHWC, "ZeroPadding2D", _pad(x_BHWC, pixels=pixels), name=name)

    def add_pool(self, x_BHWC: Counted, *, name: str, padding: str, kind: str) -> Counted:
        pool, channels = self.config.parsed_pool, x_BHWC.sides[-1]
        y_BHWC = _slide(
            x_BHWC, layer=name, size=pool.size, stride=pool.stride, padding=padding, channels=channels
        )
        layer = "MaxPooling2D" if kind == "max" else "AveragePooling2D"
        return self._note(x_BHWC, layer, y_BHWC, name=name)

    def add_dropout(self, x: Counted, *, name: str) -> Counted:
        kind = "SpatialDropout2D" if self.config.parsed_dropout.name == "spatial" else "Dropout"
        return self._note(x, kind, x, name=name)

    def add_flatten(self, x_BHWC: Counted, *, name: str) -> Counted:
        return self._note(x_BHWC, "Flatten", Counted(sides=(x_BHWC.numbers,)), name=name)

    def add_average(self, x_BHWC: Counted, *, name: str) -> Counted:
        return self._note(x_BHWC, "GlobalAveragePooling2D", Counted(sides=x_BHWC.sides[-1:]), name=name)

    def _note_kernel(self, x: Counted, kind: str, y: Counted, *, name: str, kernel: int) -> Counted:
        """Note a layer whose kernel is applied at each place, with a bias for each channel."""
        channels, has_bias = y.sides[-1], self.uses_bias(name)
        return self._note(
            x,
            kind,
            y,
            name=name,
            trained=kernel + (channels if has_bias else 0),
            macs=kernel * (y.numbers // channels),
            dense_parameters=x.numbers * y.numbers + (y.numbers if has_bias else 0),
        )

    def _note(self, x: Counted, kind: str, y: Counted, *, name: str, **counts: int) -> Counted:
        if len(self.layers) == MOST_LAYERS:
            raise CatalogError(
                f"{self.config.architecture} must have at most {MOST_LAYERS:,} layers: ask for fewer. "
                f"Received: {dict(self.config.parsed_options)}"
            )
        has_space = len(y.sides) == 3
        cost = LayerCost(
            name=name,
            kind=kind,
            inputs=x.numbers,
            output_shape=y.sides,
            receptive_field=y.receptive_field if has_space else None,
            stride=y.stride if has_space else None,
            **counts,
        )
        self.layers.append(cost)
        return y


def _slide(x_BHWC: Counted, *, layer: str, size: int, stride: int, padding: str, channels: int) -> Counted:
    """Return what a window leaves.

    Raises:
        WindowDoesNotFit: it leaves nothing.
    """
    span = 1 if padding == "same" else size  # padded so that only the stride shrinks it
    height, width = ((side - span) // stride + 1 for side in x_BHWC.sides[:2])
    least_side = x_BHWC.least_side + (span - 1) * x_BHWC.stride
    if min(height, width) < 1:
        raise WindowDoesNotFit(layer, least_side=least_side)
    return Counted(
        sides=(height, width, channels),
        least_side=least_side,
        receptive_field=x_BHWC.receptive_field + (size - 1) * x_BHWC.stride,
        stride=x_BHWC.stride * stride,
    )


def _pad(x_BHWC: Counted, *, pixels: int) -> Counted:
    height, width, channels = x_BHWC.sides
    sides = (height + 2 * pixels, width + 2 * pixels, channels)
    return replace(x_BHWC, sides=sides, least_side=x_BHWC.least_side - 2 * pixels * x_BHWC.stride)
