"""What every optimizer that a spec can name owes; a new name is held to it without a line here."""

from itertools import combinations
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from models.build import build_model, logits_model
from models.losses import LossConfig, make_loss
from service.domain.spec import OptimizerSpec
from service.domain.spec_request import DEFAULT_LR, resolve_spec
from workers.train.optimizers import make_optimizer

NAMES = get_args(OptimizerSpec.model_fields["name"].annotation)
IMAGES = 8
X_BHWC = np.random.default_rng(0).normal(size=(IMAGES, 16, 16, 1)).astype(np.float32)
every_optimizer = pytest.mark.parametrize("name", NAMES)


class Run:
    """A small network that an optimizer trains on a few images."""

    def __init__(self, name: str, **fields: Any) -> None:
        # Units of tanh all learn; ReLUs may be dead.
        spec = resolve_spec("lenet5", {"optimizer.name": name, "model.activation": "tanh", **fields})
        config = spec.model
        model = build_model(config, input_shape=X_BHWC.shape[1:], num_classes=IMAGES, seed=1)
        self.network = logits_model(model)
        self.optimizer = make_optimizer(spec.optimizer)
        self.optimizer.build(self.network.trainable_variables)
        self._loss = make_loss(LossConfig())

    def step(self, count: int = 1) -> float:
        variables = self.network.trainable_variables
        for _ in range(count):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self._loss(tf.range(IMAGES), self.network(X_BHWC, training=True)))
            self.optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return float(loss)

    @property
    def variables(self) -> list[Any]:
        return [*self.network.variables, *self.optimizer.variables]

    def weights(self) -> npt.NDArray[np.float32]:
        flat = [variable.numpy().ravel() for variable in self.network.trainable_variables]
        return np.concatenate(flat)


@every_optimizer
def test_steps_change_every_weight_and_lower_the_loss(name: str) -> None:
    run = Run(name)
    before = run.weights()
    losses = [run.step() for _ in range(10)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert np.isfinite(run.weights()).all()
    assert (run.weights() != before).mean() > 0.99


@every_optimizer
def test_its_variables_are_all_that_it_remembers(name: str) -> None:
    """A resumed run gets them, by index, and must go on bit for bit."""
    whole, resumed = Run(name), Run(name)
    whole.step(3)
    for mine, saved in zip(resumed.variables, [v.numpy() for v in whole.variables], strict=True):
        mine.assign(saved)
    whole.step(2)
    resumed.step(2)
    np.testing.assert_array_equal(resumed.weights(), whole.weights())


@every_optimizer
@pytest.mark.parametrize("field", [{"optimizer.lr": 0.002}, {"optimizer.weight_decay": 0.1}])
def test_what_all_optimizers_can_be_told_changes_it(name: str, field: dict[str, float]) -> None:
    plain, told = Run(name), Run(name, **field)
    plain.step(2)
    told.step(2)
    assert not np.array_equal(plain.weights(), told.weights())


@pytest.mark.parametrize(("one", "other"), [*combinations(NAMES, 2)])
def test_two_names_are_two_optimizers(one: str, other: str) -> None:
    """A name that nothing implements would be trained as another one."""
    assert type(Run(one).optimizer) is not type(Run(other).optimizer)


@every_optimizer
def test_a_spec_takes_it_by_its_name_with_a_learning_rate_of_its_own(name: str) -> None:
    spec = resolve_spec("lenet5", {"optimizer.name": name})
    assert (spec.optimizer.name, spec.optimizer.lr) == (name, DEFAULT_LR[name])
