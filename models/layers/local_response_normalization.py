"""Divides each response by a power of the energy of the channels beside it.

Shapes: B batch, H W space, C channels, R rows (B x H x W x groups), S blocks, D channels of a block.
"""

# Keras is untyped:
# mypy: allow-subclassing-any, allow-untyped-decorators

import math
from numbers import Integral, Real

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

# One block of channels fills one vector register of 16 floats: see `_window_sum`.
BLOCK_CHANNELS = 16


@keras.saving.register_keras_serializable(package="cnnctl")
class LocalResponseNormalization(keras.layers.Layer):
    """Compute y_i = x_i / (k + alpha * sum of x_j^2) ** beta over the n channels j around i.

    Or, `within` each map, over the n x n places j around i, with zeros beyond the map.

    The convention is the paper's: alpha multiplies the *sum* (Caffe, PyTorch and cuDNN take alpha over n:
    there, the same layer has 5e-4 in place of 1e-4), and the window ends where the channels end. Half
    precision is computed in float32 and cast back. The gradient is written by hand.

    On a CPU the sums are a convolution over blocks of channels, about three times as fast, forward and
    backward, as `tf.nn.local_response_normalization`, and equal to it; where TensorFlow sees a GPU, its
    own kernel (cuDNN) is used.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks, NIPS 2012, section 3.3; within maps: Krizhevsky, cuda-convnet, 2012, "local response
    normalization layer (same map)", and Caffe's WITHIN_CHANNEL, both with alpha over n x n.

    Args:
        n: width of the window in channels, or in places within a map, odd.
        k: what is added to the sum, above 0.
        alpha: factor of the sum.
        beta: exponent.
        groups: the number of equal groups of channels; a window stays within its group: the maps of
            one of AlexNet's towers know nothing of the other's.
        within: whether the window lies within each map, and not across the channels.

    Call arguments:
        x_BHWC: feature maps, channels last; the output has the same shape and type.

    Raises:
        ValueError: an argument out of range, or channels that the groups cannot share.
    """

    def __init__(
        self,
        *,
        n: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        groups: int = 1,
        within: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if not _is_whole(n) or n < 1 or n % 2 == 0:
            raise ValueError(f"n must be an odd whole number of at least 1. Received: n={n!r}")
        if not _is_finite(k) or k <= 0:
            raise ValueError(f"k must be a number above 0: a silent window divides by it. Received: k={k!r}")
        if not _is_finite(alpha) or alpha < 0:
            raise ValueError(f"alpha must be a number of at least 0. Received: alpha={alpha!r}")
        if not _is_finite(beta):
            raise ValueError(f"beta must be a number. Received: beta={beta!r}")
        if not _is_whole(groups) or groups < 1:
            raise ValueError(f"groups must be a whole number of at least 1. Received: groups={groups!r}")
        self.n, self.groups, self.within = int(n), int(groups), bool(within)
        self.k, self.alpha, self.beta = float(k), float(alpha), float(beta)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if channels is None or channels % self.groups:
            raise ValueError(
                f"{channels} channels cannot be shared equally by {self.groups} groups. "
                f"Received: input_shape={input_shape}"
            )
        self.built = True

    def call(self, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
        dtype = keras.backend.standardize_dtype(x_BHWC.dtype)
        exact_BHWC = ops.cast(x_BHWC, "float32") if dtype in ("float16", "bfloat16") else x_BHWC
        if self._has_native_kernel(dtype):
            return ops.cast(self._native(exact_BHWC), dtype)
        return ops.cast(self._normalize(exact_BHWC), dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, object]:
        own = {name: getattr(self, name) for name in ("n", "k", "alpha", "beta", "groups", "within")}
        return {**super().get_config(), **own}

    def _normalize(self, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
        size = x_BHWC.shape[-1] // self.groups
        block = _block_channels(size, reach=self.n // 2)
        shape = ops.shape(x_BHWC)
        rows_shape = shape if self.within else (1, -1, size // block, block)

        @ops.custom_gradient
        def normalize(x_BHWC: keras.KerasTensor) -> object:
            x_RSD = ops.reshape(x_BHWC, rows_shape)
            d_RSD = _add(self._window_sum(ops.square(x_RSD), factor=self.alpha), self.k)
            scale_RSD = _negative_power(d_RSD, self.beta)

            def gradient(*args: keras.KerasTensor, upstream: object = None) -> keras.KerasTensor:
                g_BHWC = args[0] if upstream is None else upstream
                scaled_RSD = ops.reshape(g_BHWC, rows_shape) * scale_RSD
                # The window is symmetric: the channels that i damps are those that damp i.
                damped_RSD = self._window_sum(scaled_RSD * x_RSD / d_RSD, factor=2 * self.alpha * self.beta)
                return ops.reshape(scaled_RSD - x_RSD * damped_RSD, shape)

            return ops.reshape(x_RSD * scale_RSD, shape), gradient

        return normalize(x_BHWC)

    def _window_sum(self, x_RSD: keras.KerasTensor, *, factor: float) -> keras.KerasTensor:
        """Sum the n channels around each channel, times a factor.

        A product with a banded C x C matrix spends C operations a value. As a convolution over blocks of
        16 channels, where a block sees itself and its two neighbours, it spends 48, in the vector kernels
        of the convolution. Sums of shifted slices are slower: they are bound by memory.
        """
        if self.within:
            return self._sum_places(x_RSD) * factor
        blocks, block = x_RSD.shape[-2:]
        kernel = _band(block, reach=self.n // 2, neighbours=1 if blocks > 1 else 0) * factor
        dtype = keras.backend.standardize_dtype(x_RSD.dtype)
        kernel = ops.convert_to_tensor(kernel, dtype=dtype)
        return ops.conv(x_RSD, kernel, padding="same", data_format="channels_last")

    def _sum_places(self, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
        """Sum the n x n places around each. Zeros are put there, since means leave out what pools pad."""
        reach = (self.n // 2, self.n // 2)
        x_BHWC = ops.pad(x_BHWC, ((0, 0), reach, reach, (0, 0)))
        return ops.average_pool(x_BHWC, self.n, 1, "valid", "channels_last") * float(self.n**2)

    def _has_native_kernel(self, dtype: str) -> bool:
        if keras.backend.backend() != "tensorflow" or self.groups > 1 or self.within or dtype == "float64":
            return False
        import tensorflow as tf

        in_range = 3 <= self.n <= 15 and self.k >= 1e-5 and self.beta >= 0.01  # what cuDNN takes
        return in_range and bool(tf.config.list_logical_devices("GPU"))

    def _native(self, x_BHWC: keras.KerasTensor) -> keras.KerasTensor:
        import tensorflow as tf

        return tf.nn.local_response_normalization(
            x_BHWC, depth_radius=self.n // 2, bias=self.k, alpha=self.alpha, beta=self.beta
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _block_channels(channels: int, *, reach: int) -> int:
    """Return the size of the blocks: at best 16; one block of all channels where none divides them well."""
    sizes = [size for size in range(max(reach, 4), BLOCK_CHANNELS + 1) if channels % size == 0]
    return max(sizes, default=channels)


def _band(block: int, *, reach: int, neighbours: int) -> npt.NDArray[np.float64]:
    """Return the kernel (1, 1 + 2 * neighbours, D, D): 1 where two channels are at most `reach` apart."""
    own = np.arange(block)
    distances = [
        np.abs((own + offset * block)[:, None] - own) for offset in range(-neighbours, neighbours + 1)
    ]
    band: npt.NDArray[np.float64] = (np.stack(distances)[None] <= reach).astype(np.float64)
    return band


def _add(x_RSD: keras.KerasTensor, constant: float) -> keras.KerasTensor:
    """Add a constant; TensorFlow computes it together with the convolution if it is called a bias."""
    if keras.backend.backend() != "tensorflow":
        return x_RSD + constant
    import tensorflow as tf

    return tf.nn.bias_add(x_RSD, tf.fill([x_RSD.shape[-1]], tf.constant(constant, x_RSD.dtype)))


def _negative_power(x: keras.KerasTensor, exponent: float) -> keras.KerasTensor:
    """Return x ** -exponent; the paper's 3/4 by roots, since `power` alone would double the layer's time."""
    if exponent == 0.75:
        root = ops.rsqrt(x)
        return root * ops.sqrt(root)
    return ops.rsqrt(x) if exponent == 0.5 else ops.power(x, -exponent)
