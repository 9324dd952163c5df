"""Makes the layers that a spec asks for, so that an architecture's file reads like its paper's table.

Shapes: B batch, H W space, C channels, N features, K classes.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from models.catalog import Choice, OptionValue
from models.initializers import make_initializer
from models.layers.dropout import Dropout
from models.layers.spatial_dropout import SpatialDropout2D


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How every layer of one network is initialized, normalized, activated, dropped and penalized."""

    seed: int
    init: Choice
    activation: str
    dropout: Choice
    norm: str
    l1: float
    l2: float
    options: Mapping[str, OptionValue]

    def conv(self, x_BHWC: keras.KerasTensor, *, filters: int, size: int, name: str) -> keras.KerasTensor:
        """Apply a convolution of size x size without padding, then normalization and activation."""
        layer = keras.layers.Conv2D(
            filters,
            size,
            padding="valid",
            use_bias=self._has_bias,
            kernel_initializer=make_initializer(self.init, seed=self.layer_seed(name)),
            kernel_regularizer=self._penalty(),
            name=name,
        )
        return self._activate(layer(x_BHWC), name=name)

    def max_pool(self, x_BHWC: keras.KerasTensor, *, size: int, stride: int, name: str) -> keras.KerasTensor:
        """Take the maximum of each size x size window; spatial dropout, where asked for, follows."""
        x_BHWC = keras.layers.MaxPooling2D(size, strides=stride, name=name)(x_BHWC)
        if self.dropout.name != "spatial":
            return x_BHWC
        name = f"{name}_dropout"
        return SpatialDropout2D(self._dropout_rate, seed=self.layer_seed(name), name=name)(x_BHWC)

    def flatten(self, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
        """Turn feature maps into one row of features per image."""
        return keras.layers.Flatten(name="flatten")(x_BHWC)

    def dense(self, x_BN: keras.KerasTensor, *, units: int, name: str) -> keras.KerasTensor:
        """Apply a hidden dense layer, then normalization and activation; standard dropout comes before it."""
        x_BN = self._drop_elements(x_BN, before=name)
        return self._activate(self._linear(x_BN, units=units, has_bias=self._has_bias, name=name), name=name)

    def logits(self, x_BN: keras.KerasTensor, *, num_classes: int) -> keras.KerasTensor:
        """Apply the last dense layer; standard dropout comes before it, neither norm nor activation after."""
        x_BN = self._drop_elements(x_BN, before="logits")
        return self._linear(x_BN, units=num_classes, has_bias=True, name="logits")

    def layer_seed(self, name: str) -> int:
        """Return the seed of a layer, from the spec's seed and the layer's name.

        By name and not by position: adding dropout or normalization leaves the first weights of all other
        layers as they were, so that runs which differ in one option differ in nothing else.
        """
        words = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())]).generate_state(1)
        return int(words[0]) >> 1  # 31 bits, the range that every backend takes

    @property
    def _has_bias(self) -> bool:
        # The shift of a normalization takes the bias's place (Ioffe and Szegedy, section 3.2).
        return self.norm == "none"

    @property
    def _dropout_rate(self) -> float:
        assert self.dropout.argument is not None, "parse_choice gives every kind of dropout its rate"
        return self.dropout.argument

    def _linear(self, x_BN: keras.KerasTensor, *, units: int, has_bias: bool, name: str) -> keras.KerasTensor:
        return keras.layers.Dense(
            units,
            use_bias=has_bias,
            kernel_initializer=make_initializer(self.init, seed=self.layer_seed(name)),
            kernel_regularizer=self._penalty(),
            name=name,
        )(x_BN)

    def _activate(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        if self.norm == "batch":
            x = keras.layers.BatchNormalization(synchronized=True, name=f"{name}_norm")(x)
        return keras.layers.Activation(self.activation, name=f"{name}_{self.activation}")(x)

    def _drop_elements(self, x_BN: keras.KerasTensor, *, before: str) -> keras.KerasTensor:
        if self.dropout.name != "standard":
            return x_BN
        name = f"{before}_dropout"
        return Dropout(self._dropout_rate, seed=self.layer_seed(name), name=name)(x_BN)

    def _penalty(self) -> keras.Regularizer | None:
        if self.l1 == 0 and self.l2 == 0:
            return None
        return keras.regularizers.L1L2(l1=self.l1, l2=self.l2)
