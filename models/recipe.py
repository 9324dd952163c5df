"""Makes the layers that a spec asks for, so that an architecture's file reads like its paper's table.

Shapes: B batch, H W space, C channels, N features, K classes.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from models.catalog import Choice
from models.initializers import make_initializer
from models.layers.dropout import Dropout
from models.layers.local_response_normalization import LocalResponseNormalization
from models.layers.spatial_dropout import SpatialDropout2D
from models.layers.tower_conv2d import TowerConv2D
from models.network_choice import NetworkChoice

LOGITS = "logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperInitialization:
    """How a paper initialized its network: kernels by layer or else `kernel`; biases by layer or else 0."""

    kernel: Choice
    kernels: Mapping[str, Choice] = field(default_factory=dict)
    biases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How every layer of one network is initialized, normalized, activated, dropped and penalized."""

    seed: int
    choice: NetworkChoice
    paper: PaperInitialization | None = None

    def option(self, name: str) -> int:
        """Return a whole-number option of the architecture."""
        return int(self.choice.options[name])

    def conv(
        self,
        x_BHWC: keras.KerasTensor,
        *,
        filters: int,
        size: int,
        name: str,
        stride: int = 1,
        padding: str = "valid",
        groups: int = 1,
        lrn: bool = False,
    ) -> keras.KerasTensor:
        """Apply a convolution of size x size, then normalization and activation.

        `lrn` marks a place for local response normalization, which comes last, each group apart.
        """
        kind = TowerConv2D if groups > 1 else keras.layers.Conv2D
        layer = kind(
            filters, size, strides=stride, padding=padding, groups=groups, name=name, **self._weights(name)
        )
        x_BHWC = self._activate(layer(x_BHWC), name=name)
        return self.lrn(x_BHWC, name=f"{name}_lrn", groups=groups) if lrn else x_BHWC

    def lrn(self, x_BHWC: keras.KerasTensor, *, name: str, groups: int = 1) -> keras.KerasTensor:
        """Apply local response normalization, where it was asked for."""
        if self.choice.norm != "lrn":
            return x_BHWC
        return LocalResponseNormalization(groups=groups, name=name)(x_BHWC)

    def pool(self, x_BHWC: keras.KerasTensor, *, name: str, padding: str = "valid") -> keras.KerasTensor:
        """Take maximum or mean of each window; dropout, where it has its place here, follows."""
        pool = self.choice.parsed_pool
        kind = keras.layers.MaxPooling2D if pool.kind == "max" else keras.layers.AveragePooling2D
        x_BHWC = kind(pool.size, strides=pool.stride, padding=padding, name=name)(x_BHWC)
        if self.choice.dropout_place == "dense":
            return x_BHWC
        return self._drop(x_BHWC, name=f"{name}_dropout")

    def flatten(self, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
        """Turn feature maps into one row of features per image."""
        return keras.layers.Flatten(name="flatten")(x_BHWC)

    def head(
        self, x_BHWC: keras.KerasTensor, *, units: Mapping[str, int], drops_first: bool = True
    ) -> keras.KerasTensor:
        """Go from feature maps to the features before the logits.

        Either through hidden dense layers of so many units, or, for the head `gap`, by the mean of each map.
        Standard dropout comes before each dense layer, before the first only if it `drops_first`.
        """
        if self.choice.head == "gap":
            return keras.layers.GlobalAveragePooling2D(name="gap")(x_BHWC)
        x_BN = self.flatten(x_BHWC)
        for number, (name, count) in enumerate(units.items()):
            x_BN = self.dense(x_BN, units=count, name=name, drops=drops_first or number > 0)
        return x_BN

    def dense(
        self, x_BN: keras.KerasTensor, *, units: int, name: str, drops: bool = True
    ) -> keras.KerasTensor:
        """Apply a hidden dense layer, then normalization and activation; standard dropout comes before it."""
        if drops:
            x_BN = self._drop_before(x_BN, name=name)
        layer = keras.layers.Dense(units, name=name, **self._weights(name))
        return self._activate(layer(x_BN), name=name)

    def logits(self, x_BN: keras.KerasTensor, *, num_classes: int) -> keras.KerasTensor:
        """Apply the last dense layer; standard dropout comes before it, neither norm nor activation after."""
        x_BN = self._drop_before(x_BN, name=LOGITS)
        return keras.layers.Dense(num_classes, name=LOGITS, **self._weights(LOGITS))(x_BN)

    def layer_seed(self, name: str) -> int:
        """Return the seed of a layer, from the spec's seed and the layer's name.

        By name and not by position: adding dropout or normalization leaves the first weights of all other
        layers as they were, so that runs which differ in one option differ in nothing else.
        """
        words = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())]).generate_state(1)
        return int(words[0]) >> 1  # 31 bits, the range that every backend takes

    def _weights(self, name: str) -> dict[str, object]:
        """Return what all layers with weights have in common."""
        init, bias = self.choice.parsed_init, 0.0
        if init.name == "paper":
            assert self.paper is not None, "check_network refuses it where there is none"
            init = self.paper.kernels.get(name, self.paper.kernel)
            bias = self.paper.biases.get(name, 0.0)
        # The shift of a normalization takes the bias's place (Ioffe and Szegedy, section 3.2).
        use_bias = self.choice.norm != "batch" or name == LOGITS
        return {
            "use_bias": use_bias,
            "kernel_initializer": make_initializer(init, seed=self.layer_seed(name)),
            "bias_initializer": keras.initializers.Constant(bias) if bias else "zeros",
            "kernel_regularizer": self._penalty(),
            "bias_regularizer": self._penalty() if self.choice.penalize == "all" and use_bias else None,
        }

    def _activate(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        if self.choice.norm == "batch":
            # Only TensorFlow has replicas of this kind; elsewhere Keras refuses the word.
            synchronized = keras.backend.backend() == "tensorflow"
            x = keras.layers.BatchNormalization(synchronized=synchronized, name=f"{name}_norm")(x)
        activation = self.choice.activation
        return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)

    def _drop_before(self, x_BN: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        return x_BN if self.choice.dropout_place == "pool" else self._drop(x_BN, name=f"{name}_dropout")

    def _drop(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        dropout = self.choice.parsed_dropout
        if dropout.argument is None:
            return x
        kind = SpatialDropout2D if dropout.name == "spatial" else Dropout
        return kind(dropout.argument, seed=self.layer_seed(name), name=name)(x)

    def _penalty(self) -> keras.Regularizer | None:
        if self.choice.l1 == 0 and self.choice.l2 == 0:
            return None
        return keras.regularizers.L1L2(l1=self.choice.l1, l2=self.choice.l2)
