"""Makes the Keras layers that a spec asks for, so that an architecture's file reads like its paper's table.

Shapes: B batch, H W space, C channels, N features.
"""

import zlib
from dataclasses import asdict, dataclass

import keras
import numpy as np

from models.catalog.network_builder import NetworkBuilder, PaperInitialization
from models.initializers import make_initializer
from models.layers.dropout import Dropout
from models.layers.local_response_normalization import LocalResponseNormalization
from models.layers.spatial_dropout import SpatialDropout2D
from models.layers.tower_conv2d import TowerConv2D


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasBuilder(NetworkBuilder[keras.KerasTensor]):
    """How every layer of one network is initialized, normalized, activated, dropped and penalized."""

    seed: int
    paper: PaperInitialization | None = None

    def layer_seed(self, name: str) -> int:
        """Return the seed of a layer, from the spec's seed and the layer's name.

        By name and not by position: adding dropout or normalization leaves the first weights of all other
        layers as they were, so that runs which differ in one option differ in nothing else.
        """
        words = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())]).generate_state(1)
        return int(words[0]) >> 1  # 31 bits, the range that every backend takes

    def add_conv(
        self,
        x_BHWC: keras.KerasTensor,
        *,
        filters: int,
        size: int,
        name: str,
        stride: int,
        padding: str,
        groups: int,
    ) -> keras.KerasTensor:
        kind = TowerConv2D if groups > 1 else keras.layers.Conv2D
        layer = kind(
            filters, size, strides=stride, padding=padding, groups=groups, name=name, **self._weights(name)
        )
        return layer(x_BHWC)

    def add_dense(self, x_BN: keras.KerasTensor, *, units: int, name: str) -> keras.KerasTensor:
        return keras.layers.Dense(units, name=name, **self._weights(name))(x_BN)

    def add_batch_norm(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        # Only TensorFlow has replicas of this kind; elsewhere Keras refuses the word.
        synchronized = keras.backend.backend() == "tensorflow"
        penalty = self._penalty() if self.config.penalize == "all" else None
        layer = keras.layers.BatchNormalization(
            synchronized=synchronized, name=name, gamma_regularizer=penalty, beta_regularizer=penalty
        )
        return layer(x)

    def add_activation(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        return keras.layers.Activation(self.config.activation, name=name)(x)

    def add_lrn(self, x_BHWC: keras.KerasTensor, *, name: str, groups: int) -> keras.KerasTensor:
        lrn = self.config.parsed_lrn
        assert lrn is not None, "NetworkBuilder asks for none where none is configured"
        return LocalResponseNormalization(**asdict(lrn), groups=groups, name=name)(x_BHWC)

    def add_padding(self, x_BHWC: keras.KerasTensor, *, pixels: int, name: str) -> keras.KerasTensor:
        return keras.layers.ZeroPadding2D(pixels, name=name)(x_BHWC)

    def add_pool(self, x_BHWC: keras.KerasTensor, *, name: str, padding: str, kind: str) -> keras.KerasTensor:
        pool = self.config.parsed_pool
        layer = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AveragePooling2D
        return layer(pool.size, strides=pool.stride, padding=padding, name=name)(x_BHWC)

    def add_dropout(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        dropout = self.config.parsed_dropout
        assert dropout.argument is not None, "NetworkBuilder asks for no dropout where none is configured"
        kind = SpatialDropout2D if dropout.name == "spatial" else Dropout
        return kind(dropout.argument, seed=self.layer_seed(name), name=name)(x)

    def add_flatten(self, x_BHWC: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        return keras.layers.Flatten(name=name)(x_BHWC)

    def add_average(self, x_BHWC: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        return keras.layers.GlobalAveragePooling2D(name=name)(x_BHWC)

    def _weights(self, name: str) -> dict[str, object]:
        """Return what all layers with weights have in common."""
        init, bias = self.config.parsed_init, 0.0
        if init.name == "paper":
            assert self.paper is not None, "NetworkConfig refuses it where there is none"
            init = self.paper.kernels.get(name, self.paper.kernel)
            bias = self.paper.biases.get(name, 0.0)
        use_bias = self.uses_bias(name)
        return {
            "use_bias": use_bias,
            "kernel_initializer": make_initializer(init, seed=self.layer_seed(name)),
            "bias_initializer": keras.initializers.Constant(bias) if bias else "zeros",
            "kernel_regularizer": self._penalty(),
            "bias_regularizer": self._penalty() if self.config.penalize == "all" and use_bias else None,
        }

    def _penalty(self) -> keras.Regularizer | None:
        if self.config.l1 == 0 and self.config.l2 == 0:
            return None
        return keras.regularizers.L1L2(l1=self.config.l1, l2=self.config.l2)
