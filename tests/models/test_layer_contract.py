"""What every layer of this library owes to Keras; a new layer needs one line in CASES."""

# TensorFlow is untyped:
# mypy: allow-untyped-decorators

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import models.layers

PACKAGE = "cnnctl>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How to make a layer, with every argument that is not Keras's, and what it takes for one image.

    `draws` says that the layer draws random numbers while training.
    """

    arguments: Mapping[str, object] = field(default_factory=dict)
    input_shape: tuple[int, ...] = (6, 6, 8)
    draws: bool = False


CASES: Mapping[str, Case] = {
    "Dropout": Case(arguments={"rate": 0.4, "seed": 5}, draws=True),
    "LocalResponseNormalization": Case(arguments={"n": 3, "k": 1.5, "alpha": 1e-2, "beta": 0.6, "groups": 2}),
    "SpatialDropout2D": Case(arguments={"rate": 0.4, "seed": 5}, draws=True),
    "TowerConv2D": Case(arguments={"filters": 6, "kernel_size": (3, 3), "groups": 2}),
}

every_layer = pytest.mark.parametrize("name", CASES)
training_or_not = pytest.mark.parametrize("training", [True, False])


def registered() -> dict[str, type[Any]]:
    """Import every module of `models.layers`; return the layers that are registered as this library's."""
    for module in pkgutil.iter_modules(models.layers.__path__, "models.layers."):
        importlib.import_module(module.name)
    return {
        name.removeprefix(PACKAGE): value
        for name, value in keras.saving.get_custom_objects().items()
        if name.startswith(PACKAGE) and issubclass(value, keras.Layer)
    }


def make(name: str, **overrides: object) -> Any:
    keras.utils.set_random_seed(3)  # of layers with weights
    return registered()[name](**{**CASES[name].arguments, "name": "layer", **overrides})


def pixels(name: str, *, count: int = 4, dtype: str = "float32") -> Any:
    x_BN = np.random.default_rng(3).normal(size=(count, *CASES[name].input_shape))
    return tf.cast(x_BN, dtype)


def graph(layer: Any, *, jit_compile: bool = False) -> Any:
    """Return the layer as a compiled function that is traced once for every batch size."""

    def call(x_BN: Any, training: Any) -> Any:
        return layer(x_BN, training=training)

    return tf.function(call, reduce_retracing=True, autograph=False, jit_compile=jit_compile)


def test_every_registered_layer_has_a_case() -> None:
    assert set(registered()) == set(CASES)


@every_layer
def test_the_config_rebuilds_the_layer(name: str) -> None:
    layer = make(name, dtype="mixed_bfloat16")
    saved = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(saved)
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
    assert registered()[name].from_config(layer.get_config()).get_config() == layer.get_config()


@every_layer
def test_the_config_holds_every_argument(name: str) -> None:
    config = make(name).get_config()
    assert {argument: config[argument] for argument in CASES[name].arguments} == CASES[name].arguments


@every_layer
def test_a_saved_network_computes_the_same_when_it_is_loaded(name: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(CASES[name].input_shape), make(name)])
    model.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(pixels(name)), model(pixels(name)))


@every_layer
@pytest.mark.parametrize("count", [1, 3])
def test_the_output_has_the_computed_shape(name: str, count: int) -> None:
    x_BN = pixels(name, count=count)
    layer = make(name)
    assert layer.compute_output_shape(tuple(x_BN.shape)) == tuple(layer(x_BN, training=True).shape)


@every_layer
def test_the_batch_size_may_be_unknown(name: str) -> None:
    inputs = keras.Input(CASES[name].input_shape)
    outputs = make(name)(inputs)
    assert outputs.shape == make(name).compute_output_shape(inputs.shape)
    assert outputs.shape[0] is None
    model = keras.Model(inputs, outputs)
    signature = [tf.TensorSpec((None, *CASES[name].input_shape))]
    train = tf.function(lambda x_BN: model(x_BN, training=True), input_signature=signature, autograph=False)
    for count in (1, 3):
        assert train(pixels(name, count=count)).shape == (count, *outputs.shape[1:])


@every_layer
@training_or_not
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_dtype_policy_is_that_of_output_and_gradient(name: str, dtype: str, *, training: bool) -> None:
    layer, x_BN = make(name, dtype=dtype), pixels(name, dtype=dtype)
    with tf.GradientTape() as tape:
        tape.watch(x_BN)
        y_BN = layer(x_BN, training=training)
    for tensor in (y_BN, tape.gradient(y_BN, x_BN)):
        assert tensor.dtype == dtype
        assert np.isfinite(np.asarray(tf.cast(tensor, tf.float32))).all()


@every_layer
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_policy_agrees_with_float32_up_to_rounding(name: str, dtype: str) -> None:
    # bfloat16 has 8 significant bits.
    mixed, full = (make(name, dtype=policy)(pixels(name)) for policy in (dtype, "float32"))
    np.testing.assert_allclose(tf.cast(mixed, tf.float32), full, rtol=2**-7, atol=2**-7)


@every_layer
@training_or_not
def test_a_graph_gives_what_eager_execution_gives(name: str, *, training: bool) -> None:
    eager, traced = make(name), make(name)
    call = graph(traced)
    for count in (4, 2, 4):
        x_BN = pixels(name, count=count)
        np.testing.assert_allclose(call(x_BN, training), eager(x_BN, training=training), rtol=1e-6, atol=1e-6)
    for one, other in zip(traced.variables, eager.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@every_layer
@training_or_not
def test_xla_gives_what_tensorflow_gives(name: str, *, training: bool) -> None:
    compiled, plain = make(name), make(name)
    x_BN = pixels(name)
    output, expected = graph(compiled, jit_compile=True)(x_BN, training), plain(x_BN, training=training)
    assert output.shape == expected.shape
    if not (training and CASES[name].draws):  # from one seed, XLA draws other numbers
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(compiled.variables, plain.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@every_layer
@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_network_with_the_layer_trains(name: str, *, jit_compile: bool) -> None:
    last = keras.layers.Dense(2, kernel_initializer="zeros")  # the first loss is then 1
    model = keras.Sequential([keras.Input(CASES[name].input_shape), make(name), keras.layers.Flatten(), last])
    model.compile("sgd", "mse", jit_compile=jit_compile)
    losses = [float(model.train_on_batch(pixels(name), np.ones((4, 2)))) for _ in range(10)]
    assert losses[0] == pytest.approx(1)
    assert np.mean(losses[-3:]) < 1


@every_layer
@training_or_not
def test_two_replicas_compute_and_keep_their_state_alike(name: str, *, training: bool) -> None:
    strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
    with strategy.scope():
        layer = make(name)
        layer.build((None, *CASES[name].input_shape))
    shares = tf.split(pixels(name), 2)
    x_bN = strategy.experimental_distribute_values_from_function(
        lambda context: tf.identity(shares[context.replica_id_in_sync_group])
    )

    @tf.function(autograph=False)
    def step() -> Any:
        return strategy.run(differentiate, args=(layer, x_bN, training))

    alone = make(name)
    # Where something is drawn, only the first replica draws what one device does.
    same = 1 if training and CASES[name].draws else 2
    for _ in range(2):
        outputs, gradients = (strategy.experimental_local_results(value) for value in step())
        expected = [differentiate(alone, share, training) for share in shares[:same]]
        found = list(zip(outputs, gradients, strict=True))[:same]
        for (output, gradient), (y_bN, dx_bN) in zip(found, expected, strict=True):
            np.testing.assert_allclose(output, y_bN, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(gradient, dx_bN, rtol=1e-5, atol=1e-5)
    for variable in layer.variables:
        first, second = strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second)


def differentiate(layer: Any, x_BN: Any, training: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x_BN)
        y_BN = layer(x_BN, training=training)
    return y_BN, tape.gradient(y_BN, x_BN)
