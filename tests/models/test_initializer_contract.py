"""What every initializer of the catalog owes; a new entry is held to it without a line here.

Each is tried where it is used, in a network: `paper` is a table of initializers and not one.
"""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from models.build import build_model, logits_model
from models.catalog.lookup import ARCHITECTURES, INITIALIZERS
from models.losses import LossConfig, make_loss
from service.domain.spec_request import resolve_spec

# A network whose paper says how it was initialized.
NETWORK = next(name for name, network in ARCHITECTURES.items() if network.has_paper_init)
CONSTANT = {"zeros"}
every_initializer = pytest.mark.parametrize("name", INITIALIZERS)


def build(name: str, *, seed: int = 1) -> Any:
    config = resolve_spec(NETWORK, {"model.init": name}).model
    return build_model(config, input_shape=(32, 32, 1), num_classes=10, seed=seed)


def kernels(model: Any) -> list[npt.NDArray[np.float32]]:
    return [weight.numpy() for weight in model.weights if weight.path.endswith("kernel")]


def same(one: Any, other: Any) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(kernels(one), kernels(other), strict=True)]


@every_initializer
def test_kernels_are_finite_and_follow_from_the_seed(name: str) -> None:
    model = build(name)
    assert all(np.isfinite(kernel).all() for kernel in kernels(model))
    assert all(same(model, build(name)))
    assert any(same(model, build(name, seed=2))) == (name in CONSTANT)


def test_two_names_are_two_initializers() -> None:
    drawn = {name: kernels(build(name)) for name in INITIALIZERS if name != "paper"}
    for one, other in itertools.combinations(drawn, 2):
        pairs = zip(drawn[one], drawn[other], strict=True)
        assert not all(np.array_equal(a, b) for a, b in pairs), (one, other)


@every_initializer
def test_only_constant_kernels_do_not_vary(name: str) -> None:
    assert all((kernel.std() > 0) == (name not in CONSTANT) for kernel in kernels(build(name)))


@every_initializer
def test_its_number_is_the_default_that_the_catalog_states(name: str) -> None:
    argument = INITIALIZERS[name].argument
    if argument is not None:
        assert all(same(build(name), build(f"{name}:{argument.default}")))
        assert not any(same(build(name), build(f"{name}:{2 * argument.default}")))


@every_initializer
def test_one_step_with_a_finite_loss_changes_the_network(name: str) -> None:
    model = logits_model(build(name))
    loss = make_loss(LossConfig())
    model.compile(keras.optimizers.SGD(0.01), lambda y_B, logits_BK: loss(y_B, logits_BK))
    x_BHWC = np.random.default_rng(0).normal(size=(8, 32, 32, 1)).astype(np.float32)
    before = model.get_weights()
    assert np.isfinite(float(model.train_on_batch(x_BHWC, np.arange(8, dtype=np.int32))))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


@every_initializer
def test_a_saved_network_says_how_it_began(name: str, tmp_path: Path) -> None:
    model = build(name)
    model.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert all(same(model, loaded))
    began = loaded.from_config(loaded.get_config())
    assert all(same(model, began))


@every_initializer
def test_a_spec_takes_it_by_its_name(name: str) -> None:
    assert resolve_spec(NETWORK, {"model.init": name}).model.init == name
