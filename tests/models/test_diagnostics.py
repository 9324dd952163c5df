from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from models.build import logits_model
from models.catalog.verdicts import CHANCE, QUANTITIES, RULES, judge
from models.datasets.load import load_arrays
from models.diagnostics import Diagnostics

Build = Callable[..., Any]
DIGITS = load_arrays("digits", directory=None)
DEEP = {"hidden_layers": 8, "hidden_units": 32}


def batch(count: int = 64) -> tuple[Any, Any]:
    x = tf.constant(DIGITS.x_train[:count], tf.float32)
    return x, tf.constant(DIGITS.y_train[:count])


def make(build: Build, architecture: str, **overrides: Any) -> Any:
    shape = (8, 8, 1) if architecture == "mlp" else (16, 16, 1)
    arguments = {"input_shape": shape, "pixel_mean": [78.0], "pixel_std": [96.0], **overrides}
    return logits_model(build(architecture, **arguments))


def measure(network: Any) -> Any:
    x_BHWC, y_B = batch()
    if network.input_shape[1] != 8:
        x_BHWC = tf.image.resize(x_BHWC, network.input_shape[1:3])
    return Diagnostics(network).measure(x_BHWC, y_B)


def verdicts(network: Any) -> set[tuple[str, str]]:
    return {(verdict.name, verdict.layer) for verdict in judge(measure(network))}


def state(network: Any) -> list[npt.NDArray[Any]]:
    return [variable.numpy() for variable in network.variables]


def test_every_layer_gets_the_quantities_that_are_documented(build: Build) -> None:
    values = measure(make(build, "lenet5"))
    layers = {name.split("/")[1] for name in values}
    assert layers == {"conv1", "conv2", "fc3", "fc4", "logits"}
    assert {name.rsplit("/")[-1] for name in values} == set(QUANTITIES) - {"saturated"}
    assert values["layer/conv1/gradient_ratio"] == 1
    sigmoid = measure(make(build, "lenet5", activation="sigmoid"))
    assert {name.rsplit("/")[-1] for name in sigmoid} == set(QUANTITIES) - {"dead"}
    linear = measure(make(build, "lenet5", activation="linear"))
    assert {name.rsplit("/")[-1] for name in linear} == set(QUANTITIES) - {"dead", "saturated"}


def test_a_network_without_hidden_layers_is_measured(build: Build) -> None:
    values = measure(make(build, "softmax"))
    assert {name.split("/")[1] for name in values} == {"logits"}
    assert values["layer/logits/gradient_norm"] > 0


def test_the_numbers_are_what_their_names_say(build: Build) -> None:
    network = make(build, "mlp", options={"hidden_layers": 1, "hidden_units": 16})
    x_BHWC, y_B = batch()
    values = measure(network)
    hidden = keras.Model(network.input, network.get_layer("hidden1_relu").output)(x_BHWC).numpy()
    kernel = network.get_layer("hidden1").kernel.numpy()
    assert values["layer/hidden1/activation_mean"] == pytest.approx(hidden.mean(), rel=1e-5)
    assert values["layer/hidden1/activation_variance"] == pytest.approx(hidden.var(), rel=1e-4)
    assert values["layer/hidden1/dead"] == pytest.approx((hidden.max(axis=0) <= 0).mean())
    assert values["layer/hidden1/weight_norm"] == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
    assert values["layer/hidden1/near_zero"] == pytest.approx((np.abs(kernel) < 1e-3).mean())
    logits = network.get_layer("logits")
    p = tf.nn.softmax(network(x_BHWC)).numpy()
    p[np.arange(64), y_B.numpy()] -= 1
    expected = np.linalg.norm(hidden.T @ p / 64)
    assert values["layer/logits/gradient_norm"] == pytest.approx(expected, rel=1e-4)
    assert logits.kernel.shape == (16, 10)


def test_measuring_changes_nothing(build: Build) -> None:
    network = make(build, "lenet5", norm="batch", dropout="spatial:0.5")
    before = state(network)
    first, again = measure(network), measure(network)
    assert first == again
    for a, b in zip(before, state(network), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mirrored_variables_give_the_same_numbers(build: Build) -> None:
    single = measure(make(build, "lenet5"))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        network = make(build, "lenet5")
        assert measure(network) == pytest.approx(single, rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "verdict"),
    [
        ({"activation": "sigmoid", "init": "normal:0.01"}, "vanishing gradient"),
        ({"init": "normal:3", "activation": "relu"}, "exploding gradient"),
        ({"init": "normal:1", "activation": "tanh"}, "saturation"),
        ({"init": "normal:0.01"}, "vanishing signal"),
    ],
)
def test_a_deep_network_that_begins_badly_gets_its_verdict(
    build: Build, overrides: dict[str, Any], verdict: str
) -> None:
    found = verdicts(make(build, "mlp", options=DEEP, **overrides))
    assert verdict in {name for name, _ in found}


def test_a_deep_network_of_huge_weights_is_measured_in_finite_numbers_and_called_exploding(
    build: Build,
) -> None:
    network = make(build, "mlp", init="normal:10", options={"hidden_layers": 12, "hidden_units": 128})
    values = measure(network)
    assert all(np.isfinite(value) for value in values.values())
    assert max(values.values()) > float(np.finfo(np.float32).max)
    assert "exploding gradient" in {verdict.name for verdict in judge(values)}


def test_what_is_not_finite_is_a_verdict_of_its_own(build: Build) -> None:
    network = make(build, "lenet5")
    kernel = network.get_layer("conv2").kernel
    kernel.assign(np.where(np.arange(16) == 3, np.nan, kernel.numpy()))
    assert ("not finite", "conv2") in verdicts(network)
    (verdict,) = judge({"layer/a/dead": None, "layer/a/saturated": float("nan"), "loss": 3.0})
    assert (verdict.name, verdict.layer, verdict.value) == ("not finite", "a", 2)


@pytest.mark.parametrize(
    ("epochs", "accuracy", "val_accuracy", "found"),
    [
        (15, 0.103, 0.1, ["does not learn"]),
        (15, None, 0.1, ["does not learn"]),
        (2, 0.1, 0.1, []),
        (15, 0.1, 0.5, []),
    ],
)
def test_a_network_at_chance_level_after_some_epochs_does_not_learn(
    epochs: int, accuracy: float | None, val_accuracy: float, found: list[str]
) -> None:
    values = {CHANCE: 0.1, "accuracy": accuracy, "val_accuracy": val_accuracy}
    passed = judge(values, epochs=epochs, likely_cause="try another planet")
    assert [verdict.name for verdict in passed] == found
    assert all("try another planet" in verdict.message for verdict in passed)


@pytest.mark.parametrize("accuracy", [0.5, 0.91, 0.95, 0.99])
def test_where_most_images_are_of_one_class_accuracy_does_not_tell_who_learns(accuracy: float) -> None:
    assert judge({CHANCE: 0.95, "accuracy": accuracy}, epochs=10) == []


def test_zero_kernels_make_symmetric_units_also_after_steps(build: Build) -> None:
    network = make(build, "mlp", init="zeros", activation="sigmoid", options={"hidden_layers": 1})
    assert ("symmetric units", "hidden1") in verdicts(network)
    network.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(3):
        network.train_on_batch(*batch())
    assert network.get_layer("hidden1").kernel.numpy().any()
    assert ("symmetric units", "hidden1") in verdicts(network)


def test_units_that_are_never_active_are_dead(build: Build) -> None:
    network = make(build, "lenet5")
    network.get_layer("fc3").bias.assign(np.full(120, -100.0))
    assert ("dead ReLU", "fc3") in verdicts(network)


@pytest.mark.parametrize(
    "overrides", [{}, {"init": "orthogonal", "dropout": "spatial:0.2"}, {"norm": "batch"}]
)
def test_a_healthy_network_gets_no_verdict_before_and_after_training(
    build: Build, overrides: dict[str, Any]
) -> None:
    network = make(build, "lenet5", **overrides)
    assert verdicts(network) == set()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    x_BHWC, y_B = batch(512)
    network.fit(tf.image.resize(x_BHWC, (16, 16)), y_B, batch_size=32, epochs=2, verbose=0)
    assert verdicts(network) == set()


def test_every_rule_has_a_source_and_advice() -> None:
    assert all(rule.source and rule.advice.startswith("try ") for rule in RULES.values())


def test_a_verdict_says_what_where_how_much_and_what_to_try() -> None:
    (verdict,) = judge({"layer/a/gradient_norm": 500.0, "layer/a/weight_norm": 2.0})
    assert (verdict.name, verdict.layer, verdict.value) == ("exploding gradient", "a", 250.0)
    assert verdict.message.startswith("exploding gradient in a: 2.5e+02 (")
    assert "try a smaller --lr" in verdict.message


def test_weights_that_begin_near_zero_do_not_explode_by_growing() -> None:
    assert judge({"layer/a/gradient_norm": 50.0, "layer/a/weight_norm": 0.001}) == []
