# TensorFlow is untyped:
# mypy: allow-untyped-decorators

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from models.catalog.lookup import NORMS, parse_choice
from models.catalog.response_norm import find_response_norm
from models.layers.local_response_normalization import LocalResponseNormalization

Array = npt.NDArray[np.floating[Any]]
SHAPES = [
    (2, 5, 4, 96),
    (2, 3, 3, 256),
    (3, 2, 2, 7),
    (2, 3, 3, 3),
    (1, 2, 2, 1),
    (2, 2, 3, 24),
    (2, 2, 2, 34),
]
TF_DTYPE_WARNING = (
    "ignore:__array__ implementation doesn't accept:DeprecationWarning:keras.src.backend.tensorflow.core"
)


def images(shape: tuple[int, ...], *, scale: float = 20.0, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(scale=scale, size=shape)


def denominator(x: Array, *, n: int, k: float, alpha: float, groups: int = 1) -> Array:
    """The paper's sum, channel by channel, in float64."""
    size = x.shape[-1] // groups
    sums = np.zeros_like(x)
    for i in range(x.shape[-1]):
        first = i // size * size
        low, high = max(first, i - n // 2), min(first + size - 1, i + n // 2)
        sums[..., i] = np.square(x[..., low : high + 1]).sum(-1)
    return k + alpha * sums


def reference_gradient(x: Array, g: Array, *, n: int, k: float, alpha: float, beta: float) -> Array:
    d = denominator(x, n=n, k=k, alpha=alpha)
    inner = g * x * d ** (-beta - 1)
    sums = np.zeros_like(x)
    for i in range(x.shape[-1]):
        sums[..., i] = inner[..., max(0, i - n // 2) : i + n // 2 + 1].sum(-1)
    return g * d**-beta - 2 * alpha * beta * x * sums


def forward_and_gradient(layer: Any, x: Array, g: Array, *, dtype: str = "float32") -> tuple[Any, Any]:
    x_BHWC = tf.constant(x, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x_BHWC)
        y_BHWC = layer(x_BHWC)
    return y_BHWC, tape.gradient(y_BHWC, x_BHWC, output_gradients=tf.constant(g, y_BHWC.dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n", "beta"), [(5, 0.75), (3, 0.5), (9, 1.0), (1, 0.6)])
def test_values_and_gradients_equal_the_papers_formula(shape: Any, n: int, beta: float) -> None:
    x, g = images(shape), images(shape, scale=1, seed=1)
    y, dx = forward_and_gradient(LocalResponseNormalization(n=n, k=2, alpha=1e-3, beta=beta), x, g)
    scale = np.abs(x).max()
    expected = x / denominator(x, n=n, k=2, alpha=1e-3) ** beta
    np.testing.assert_allclose(y / scale, expected / scale, atol=1e-6)
    np.testing.assert_allclose(dx, reference_gradient(x, g, n=n, k=2, alpha=1e-3, beta=beta), atol=1e-5)


def within_maps(x: Array, *, n: int) -> Array:
    """The sums of n x n places of each map, of zeros beyond it."""
    sums, reach = np.zeros_like(x), n // 2
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            rows = slice(max(0, row - reach), row + reach + 1)
            columns = slice(max(0, column - reach), column + reach + 1)
            sums[:, row, column] = x[:, rows, columns].sum((1, 2))
    return sums


@pytest.mark.parametrize("shape", [(2, 5, 4, 6), (1, 2, 2, 1), (2, 7, 9, 34)])
@pytest.mark.parametrize(("n", "beta"), [(3, 0.75), (5, 0.5), (1, 0.6)])
def test_within_maps_values_and_gradients_equal_the_formula(shape: Any, n: int, beta: float) -> None:
    x, g = images(shape), images(shape, scale=1, seed=1)
    layer = LocalResponseNormalization(n=n, k=1, alpha=1e-3, beta=beta, within=True)
    y, dx = forward_and_gradient(layer, x, g)
    d = 1 + 1e-3 * within_maps(x**2, n=n)
    np.testing.assert_allclose(y, x / d**beta, rtol=1e-5, atol=1e-5)
    expected = g * d**-beta - 2 * 1e-3 * beta * x * within_maps(g * x * d ** (-beta - 1), n=n)
    np.testing.assert_allclose(dx, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("norm", "sums", "k", "alpha"),
    [
        ("lrn", "across", 2, 1e-4),
        ("lrn:0.01", "across", 2, 1e-2),
        ("lrn_mean:0.01", "across", 2, 1e-2 / 5),
        ("lrn_within", "within", 1, 5e-5 / 9),
        ("lrn_within:0.01", "within", 1, 1e-2 / 9),
    ],
)
def test_each_kind_divides_by_what_its_source_says(norm: str, sums: str, k: float, alpha: float) -> None:
    found = find_response_norm(parse_choice(norm, kind="norm", entries=NORMS))
    assert found is not None
    x = images((2, 4, 4, 12))
    of_squares = within_maps(x**2, n=3) if sums == "within" else denominator(x, n=5, k=0, alpha=1)
    y = LocalResponseNormalization(**asdict(found))(x.astype(np.float32))
    np.testing.assert_allclose(y, x / (k + alpha * of_squares) ** 0.75, rtol=1e-5, atol=1e-5)


def test_no_other_norm_is_one_of_responses() -> None:
    assert [name for name in NORMS if find_response_norm(parse_choice(name, kind="norm", entries=NORMS))] == [
        name for name in NORMS if name.startswith("lrn")
    ]


def test_the_defaults_are_the_papers_and_equal_tensorflows_kernel() -> None:
    x, g = images((2, 6, 6, 96)), images((2, 6, 6, 96), scale=1, seed=1)

    def native(x_BHWC: Any) -> Any:
        return tf.nn.local_response_normalization(x_BHWC, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)

    for ours, theirs in zip(
        forward_and_gradient(LocalResponseNormalization(), x, g),
        forward_and_gradient(native, x, g),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_strong_response_damps_its_neighbours_and_no_channel_further_off() -> None:
    x = np.ones((1, 1, 1, 20))
    x[..., 10] = 1000
    damped = np.flatnonzero(LocalResponseNormalization()(x.astype(np.float32)).numpy()[0, 0, 0] < 0.5)
    assert damped.tolist() == [8, 9, 11, 12]


def test_groups_normalize_apart() -> None:
    x = images((2, 3, 3, 48))
    expected = x / denominator(x, n=5, k=2, alpha=1e-4, groups=2) ** 0.75
    y = LocalResponseNormalization(groups=2)(x.astype(np.float32))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("bfloat16", 1e-2), ("float64", 1e-12)])
def test_every_float_type_comes_out_as_it_went_in(dtype: str, tolerance: float) -> None:
    x = images((2, 3, 3, 32))
    x_BHWC = tf.constant(x, dtype)
    exact = np.asarray(tf.cast(x_BHWC, tf.float64))
    y = LocalResponseNormalization(dtype=dtype)(x_BHWC)
    assert y.dtype.name == dtype
    expected = exact / denominator(exact, n=5, k=2, alpha=1e-4) ** 0.75
    np.testing.assert_allclose(tf.cast(y, tf.float64), expected, rtol=tolerance, atol=1e-9)


def test_a_constant_that_float32_rounds_is_exact_in_float64() -> None:
    x = images((2, 3, 3, 32))
    y = LocalResponseNormalization(k=0.1, dtype="float64")(tf.constant(x, "float64"))
    expected = x / denominator(x, n=5, k=0.1, alpha=1e-4) ** 0.75
    np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_squares_that_float16_cannot_hold_are_summed_in_float32() -> None:
    x = tf.constant(images((2, 3, 3, 32), scale=900), "float16")
    y, dx = forward_and_gradient(LocalResponseNormalization(dtype="float16"), np.asarray(x), np.ones(x.shape))
    assert np.isfinite(y).all()
    assert np.isfinite(tf.cast(dx, tf.float32)).all()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_gives_what_eager_execution_gives(jit_compile: bool) -> None:  # noqa: FBT001
    x, g = images((3, 4, 4, 32)), images((3, 4, 4, 32), scale=1, seed=1)
    layer = LocalResponseNormalization()

    @tf.function(
        jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, None, None, 32))] * 2, autograph=False
    )
    def step(x_BHWC: Any, g_BHWC: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x_BHWC)
            y_BHWC = layer(x_BHWC)
        return y_BHWC, tape.gradient(y_BHWC, x_BHWC, output_gradients=g_BHWC)

    in_graph = step(tf.constant(x, tf.float32), tf.constant(g, tf.float32))
    for graph, eager in zip(in_graph, forward_and_gradient(layer, x, g), strict=True):
        np.testing.assert_allclose(graph, eager, atol=1e-5)


def test_replicas_give_what_one_device_gives() -> None:
    x = images((4, 3, 3, 32)).astype(np.float32)
    layer = LocalResponseNormalization()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    @tf.function(autograph=False)
    def step() -> Any:
        def one(x_BHWC: Any) -> Any:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            part_BHWC = x_BHWC[replica * 2 : replica * 2 + 2]
            with tf.GradientTape() as tape:
                tape.watch(part_BHWC)
                total = tf.reduce_sum(layer(part_BHWC) ** 2)
            return tape.gradient(total, part_BHWC)

        return strategy.run(one, args=(tf.constant(x),))

    parts = strategy.experimental_local_results(step())
    whole = forward_and_gradient(lambda x_BHWC: layer(x_BHWC) ** 2, x, np.ones(x.shape))[1]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


@pytest.mark.filterwarnings(TF_DTYPE_WARNING)
def test_a_saved_layer_comes_back_the_same(tmp_path: Path) -> None:
    layer = LocalResponseNormalization(n=3, k=1.5, alpha=1e-2, beta=0.6, groups=2)
    model = keras.Sequential([keras.Input((4, 4, 8)), layer])
    model.save(tmp_path / "network.keras")
    x = images((2, 4, 4, 8)).astype(np.float32)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "network.keras")(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 4}, "n must be an odd whole number of at least 1. Received: n=4"),
        ({"n": 5.0}, "n must be an odd whole number of at least 1. Received: n=5.0"),
        ({"n": True}, "n must be an odd whole number"),
        ({"k": 0.0}, "k must be a number above 0"),
        ({"k": math.nan}, "k must be a number above 0"),
        ({"alpha": -1.0}, "alpha must be a number of at least 0"),
        ({"alpha": math.inf}, "alpha must be a number of at least 0"),
        ({"beta": math.nan}, "beta must be a number"),
        ({"groups": 0}, "groups must be a whole number of at least 1"),
        ({"groups": 2.0}, "groups must be a whole number of at least 1"),
    ],
)
def test_values_without_meaning_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalResponseNormalization(**arguments)


def test_numpys_numbers_are_taken_and_can_be_stored() -> None:
    numbers: Any = {"n": np.int64(3), "k": np.float32(2), "groups": np.int8(1)}
    config = LocalResponseNormalization(**numbers).get_config()
    assert (config["n"], config["k"], config["groups"]) == (3, 2.0, 1)
    json.dumps(config)


def test_channels_that_groups_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match=r"7 channels cannot be shared equally by 2 groups"):
        LocalResponseNormalization(groups=2)(np.ones((1, 2, 2, 7), np.float32))
