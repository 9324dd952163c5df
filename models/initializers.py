"""Makes the initializer of a kernel from its name in the catalog.

Shapes: I fan in (of a convolution: height x width x channels of its filter), O units or filters.
"""

# Keras is untyped:
# mypy: allow-subclassing-any, allow-untyped-decorators

import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
import numpy.typing as npt

from models.catalog.lookup import INITIALIZERS, Choice, unknown_name


@keras.saving.register_keras_serializable(package="cnnctl")
class Orthogonal(keras.initializers.Initializer):
    """Draw a Gaussian matrix and keep its orthonormal factor, evenly distributed over all there are.

    The kernel is taken as a matrix of fan in x units. With more inputs than units its columns are
    orthonormal, else its rows are. Such a matrix keeps the length of what passes through it, and of the
    gradient on the way back, however deep the network.

    The factor is Q of a QR decomposition whose R has a positive diagonal. It has the distribution of U (or
    V) of an SVD whose columns have random signs. LAPACK's signs are not random (measured over 1,000 draws of
    25 x 6: an element's mean is up to 0.27 standard deviations from 0), and an SVD of AlexNet's 9,216 x 4,096
    would take minutes.

    Sources: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear networks,
    ICLR 2014; Mezzadri, How to generate random matrices from the classical compact groups, 2007 (signs).

    Args:
        seed: integer; the same seed gives the same kernel.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a shape of at least 2 dimensions. Received: shape={shape}")
        gaussian_IO = np.random.default_rng(self.seed).standard_normal(
            (math.prod(shape[:-1]), shape[-1]), dtype=np.float32
        )
        kernel_IO = _orthonormal_factor(gaussian_IO)
        return keras.ops.convert_to_tensor(kernel_IO.reshape(shape), dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, object]:
        return {"seed": self.seed}


@keras.saving.register_keras_serializable(package="cnnctl")
class FanInUniform(keras.initializers.Initializer):
    """Draw evenly from -limit / fan in to limit / fan in.

    Source: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998,
    appendix A, where the limit is 2.4.

    Args:
        limit: half width times fan in.
        seed: integer; the same seed gives the same kernel.
    """

    def __init__(self, *, limit: float = 2.4, seed: int) -> None:
        self.limit = limit
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
        half = self.limit / math.prod(shape[:-1])
        return keras.random.uniform(shape, -half, half, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, object]:
        return {"limit": self.limit, "seed": self.seed}


def _orthonormal_factor(gaussian_IO: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    inputs, units = gaussian_IO.shape
    q, r = np.linalg.qr(gaussian_IO if inputs >= units else gaussian_IO.T)
    q *= np.sign(np.diag(r))
    return q if inputs >= units else q.T


def make_initializer(choice: Choice, *, seed: int) -> keras.initializers.Initializer:
    """Make the initializer of one layer; its seed must be that layer's own, else layers begin alike.

    `paper` is a table of initializers, not one: see `models.catalog.network_builder.PaperInitialization`.

    Raises:
        CatalogError: the name is unknown.
    """
    if choice.name not in _MAKERS:
        raise unknown_name("initializer", choice.name, INITIALIZERS)
    argument = INITIALIZERS[choice.name].argument if choice.name in INITIALIZERS else None
    number = choice.argument if choice.argument is not None else argument.default if argument else 0.0
    return _MAKERS[choice.name](number, seed)


_MAKERS: Mapping[str, Callable[[float, int], keras.initializers.Initializer]] = {
    "zeros": lambda _, seed: keras.initializers.Zeros(),
    "normal": lambda deviation, seed: keras.initializers.RandomNormal(stddev=deviation, seed=seed),
    "uniform": lambda half, seed: keras.initializers.RandomUniform(minval=-half, maxval=half, seed=seed),
    "orthogonal": lambda _, seed: Orthogonal(seed=seed),
    "glorot_uniform": lambda _, seed: keras.initializers.GlorotUniform(seed=seed),
    "glorot_normal": lambda _, seed: keras.initializers.GlorotNormal(seed=seed),
    "he_uniform": lambda _, seed: keras.initializers.HeUniform(seed=seed),
    "he_normal": lambda _, seed: keras.initializers.HeNormal(seed=seed),
    "kaiming_fan_out": lambda _, seed: keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal", seed=seed
    ),
    "lecun_normal": lambda _, seed: keras.initializers.LecunNormal(seed=seed),
    "fan_in_uniform": lambda limit, seed: FanInUniform(limit=limit, seed=seed),
}
