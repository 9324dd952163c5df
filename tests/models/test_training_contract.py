"""What every loss, optimizer and schedule of a spec owes; a new name is held to it without a line here."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.losses import LossChoice, make_loss
from service.domain.spec import LossSpec, OptimizerSpec, ScheduleSpec
from service.domain.spec_request import resolve_spec
from workers.train.network import make_spec_loss
from workers.train.optimizers import make_optimizer
from workers.train.schedule import EpochSchedule

EPOCHS = 12


def names_of(section: type[Any]) -> Sequence[str]:
    return get_args(section.model_fields["name"].annotation)


@pytest.mark.parametrize("name", names_of(OptimizerSpec))
def test_an_optimizer_goes_down_the_gradient_and_is_resolved_with_its_defaults(name: str) -> None:
    spec = resolve_spec("lenet5", {"optimizer.name": name}).optimizer
    optimizer, variable = make_optimizer(spec), keras.Variable(np.ones(3, np.float32))
    optimizer.build([variable])
    for _ in range(5):
        optimizer.apply([tf.constant([1.0, -1.0, 0.5])], [variable])
    moved = variable.numpy() - 1
    assert np.isfinite(moved).all()
    assert (moved[0] < 0, moved[1] > 0, moved[2] < 0) == (True, True, True)


@pytest.mark.parametrize("name", names_of(ScheduleSpec))
def test_a_schedule_stays_between_its_least_and_the_first_rate(name: str) -> None:
    fields = {"schedule.name": name, "training.epochs": EPOCHS, "schedule.minimum_lr": 1e-4}
    spec = resolve_spec("lenet5", fields)
    schedule, rates = EpochSchedule(spec), []
    for epoch in range(1, EPOCHS + 1):
        rates.append(schedule.start_epoch(epoch))
        schedule.end_epoch(epoch, {"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5})
    assert rates[0] == spec.optimizer.lr
    assert all(1e-4 <= later <= earlier for earlier, later in pairwise(rates))
    assert (rates[-1] < rates[0]) is (name != "constant")


class Images:
    """As many labels as a loss needs of the images that a run has."""

    train_labels = np.array([0, 0, 1, 2])
    num_classes = 3


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("name", names_of(LossSpec))
def test_a_loss_is_finite_and_smaller_where_the_network_is_right(name: str, weights: str) -> None:
    spec = resolve_spec("lenet5", {"loss.name": name, "loss.class_weights": weights}).loss
    loss = make_spec_loss(spec, Images())  # type: ignore[arg-type]
    labels, right = tf.constant([0, 1, 2]), 5.0 * tf.eye(3)
    sure, wrong = np.asarray(loss(labels, right)), np.asarray(loss(labels, -right))
    assert np.isfinite(sure).all()
    assert (sure < wrong).all()
    if name == "cross_entropy" and weights == "none":
        np.testing.assert_array_equal(sure, np.asarray(make_loss(LossChoice())(labels, right)))
