"""What every loss that a spec can name owes; a new name is held to it without a line here.

Shapes: B batch, K classes.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from models.datasets.pixel_statistics import PixelStatistics
from service.domain.spec import LossSpec
from service.domain.spec_request import resolve_spec
from workers.train.data.images import DeviceSplit, Rows, RunImages
from workers.train.network import make_spec_loss

NAMES = get_args(LossSpec.model_fields["name"].annotation)
NUM_CLASSES = 7
RANDOM = np.random.default_rng(0)
LOGITS_BK = RANDOM.normal(scale=3, size=(64, NUM_CLASSES)).astype(np.float32)
LABELS_B = RANDOM.integers(0, NUM_CLASSES, 64).astype(np.int32)
every_loss = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def images() -> RunImages:
    """Training images of which only the labels matter, with some classes more often than others."""
    nothing = DeviceSplit(rows=Rows(images=None, labels=None, count=0))
    return RunImages(
        train=nothing,
        validation=nothing,
        test=nothing,
        train_labels=np.minimum(LABELS_B, 4),
        class_names=tuple("abcdefg"),
        channels=1,
        statistics=PixelStatistics(mean=(0.0,), std=(1.0,), colour_axes=None),
    )


@pytest.fixture
def losses(images: RunImages) -> Callable[..., npt.NDArray[np.float32]]:
    def of(name: Any, logits_BK: Any = LOGITS_BK, **fields: Any) -> npt.NDArray[np.float32]:
        loss = make_spec_loss(LossSpec(name=name, **fields), images)
        return np.asarray(loss(tf.constant(LABELS_B[: len(logits_BK)]), tf.constant(logits_BK)))

    return of


@every_loss
def test_there_is_one_finite_float32_loss_an_image(losses: Callable[..., Any], name: str) -> None:
    found_B = losses(name)
    assert found_B.shape == LABELS_B.shape
    assert found_B.dtype == np.float32
    assert np.isfinite(found_B).all()
    assert (found_B >= 0).all()
    assert losses(name, tf.cast(LOGITS_BK, tf.bfloat16)).dtype == np.float32


@every_loss
def test_a_surer_right_answer_costs_less(losses: Callable[..., Any], name: str) -> None:
    right_BK = np.eye(NUM_CLASSES, dtype=np.float32)[LABELS_B]
    assert (losses(name, LOGITS_BK + right_BK) < losses(name)).all()


@every_loss
@pytest.mark.parametrize("size", [1e-3, 1.0, 200.0])
def test_its_gradient_is_finite_however_sure_the_network_is(
    images: RunImages, name: Any, size: float
) -> None:
    loss = make_spec_loss(LossSpec(name=name), images)
    logits_BK = tf.Variable(size * np.sign(LOGITS_BK))
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(tf.constant(LABELS_B), logits_BK))
    assert np.isfinite(tape.gradient(value, logits_BK)).all()


@every_loss
@pytest.mark.parametrize("field", [{"label_smoothing": 0.1}, {"class_weights": "balanced"}])
def test_what_all_losses_can_be_told_changes_it(
    losses: Callable[..., Any], name: str, field: dict[str, Any]
) -> None:
    assert not np.allclose(losses(name, **field), losses(name))


@pytest.mark.parametrize(("one", "other"), [*combinations(NAMES, 2)])
def test_two_names_are_two_losses(losses: Callable[..., Any], one: str, other: str) -> None:
    """A name that nothing implements would be trained as another one."""
    assert not np.allclose(losses(one), losses(other))


@every_loss
def test_a_spec_takes_it_by_its_name(name: str) -> None:
    assert resolve_spec("lenet5", {"loss.name": name}).loss.name == name
